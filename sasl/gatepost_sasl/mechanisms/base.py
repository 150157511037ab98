"""What a SASL mechanism is (RFC 4422 section 3): given the client's responses, it asks or is done.

A mechanism sees no socket and no store; it only finds out who the client says it is and with which
password. A response that breaks the mechanism's rules raises MechanismError.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from gatepost_sasl.saslprep import PrepError, saslprep


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
