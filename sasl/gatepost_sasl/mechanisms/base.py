"""What a SASL mechanism is (RFC 4422 section 3): given the client's responses, it asks or is done.

A mechanism sees no socket and no store; it only finds out who the client says it is and with which
password. A response that breaks the mechanism's rules raises MechanismError.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

from gatepost_core.domain.memo import memo
from gatepost_core.keys.passwords import normal_username
from gatepost_sasl.saslprep import PrepError, saslprep

# In bytes of UTF-8. No back end has longer names, and no cache, counter or log line is to hold them. Password
# managers make some hundred at most, PAM takes 512; and what SASLprep does to a long one takes its time.
NAME_MOST: Final = 255
PASSWORD_MOST: Final = 1024


class MechanismError(Exception):
    """The response cannot be used. The text is public: it tells only what the client itself sent."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What to send to the client; its answer goes to ``next``."""

    data: bytes


@dataclass(slots=True)
class Done:
    """Who the client says it is, both prepared by SASLprep (RFC 4013)."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What a server keeps for SCRAM-SHA-256 (RFC 5802 section 3), instead of a password."""

    salt: bytes = field(repr=False)
    iterations: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Proof:
    """Who the client says it is, and whether it proved to know a password; ``data`` is our own proof."""

    username: str
    proved: bool
    data: bytes = field(repr=False)


class Mechanism(Protocol):
    """One login's exchange."""

    def next(self, response: bytes | None) -> Challenge | Done | Proof:
        """Take a response (None: the client sent none at first). Raises MechanismError."""
        ...


def username(raw: bytes) -> str:
    """Return a user name after SASLprep, a generated one in its own spelling. Raises MechanismError."""
    if len(raw) > NAME_MOST:
        raise _too_long()
    return _username(raw)


# The same customers log in again and again; no more than 700 kB, whatever names are tried.
@memo(1024)
def _username(raw: bytes) -> str:
    return named(prepared(raw, "user name"))


def named(text: str) -> str:
    """Return a prepared user name in the spelling that is known. Raises MechanismError for a long one."""
    if len(text.encode("utf-8", "surrogatepass")) > NAME_MOST:
        raise _too_long()
    return normal_username(text)


def password(raw: bytes) -> str:
    """Return a password after SASLprep. Raises MechanismError."""
    if len(raw) > PASSWORD_MOST:
        raise MechanismError("the password is longer than 1,024 bytes")
    return prepared(raw, "password")


def _too_long() -> MechanismError:
    return MechanismError("the user name is longer than 255 bytes")


def prepared(raw: bytes, what: str) -> str:
    """Return a UTF-8 string after SASLprep; it must not be empty. Raises MechanismError naming ``what``."""
    if raw.isascii() and raw:
        text = raw.decode("ascii")
        if text.isprintable():  # of ASCII, what SASLprep leaves as it is
            return text
    try:
        text = saslprep(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise MechanismError(f"the {what} is not UTF-8") from error
    except PrepError as error:
        raise MechanismError(f"the {what} holds a character that is not allowed") from error
    if not text:
        raise MechanismError(f"the {what} is empty")
    return text
