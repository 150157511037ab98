"""Passwords that people choose for the dashboard: argon2id (RFC 9106) at 19 MiB, one at a time.

Memory is the point of argon2id, and here its bound: however many people sign in at once, one password is
hashed. Whoever has threads that others need takes turns before (the dashboard's ``pages.turns``): hardly
anybody waits in here. What was imported for SMTP logins is ``argon2id``'s.
"""

from __future__ import annotations

import threading
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gatepost_core.domain.texts import unfit
from gatepost_core.keys.argon2id import CannotCheckError

LENGTH_LEAST: Final = 12
LENGTH_MOST: Final = 200
# OWASP's first choice for argon2id: 19 MiB, two passes, one lane.
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_PATIENCE: Final = 1.0  # seconds
_place = threading.BoundedSemaphore(1)
# What is checked where there is no such user: it takes as long, and no password is it.
_NOBODYS: Final = (
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)


def unsuitable(password: str, name: str) -> str:
    """Say why a password cannot be chosen by the user of a name; '' if it can."""
    if not LENGTH_LEAST <= len(password) <= LENGTH_MOST:
        return f"A password has {LENGTH_LEAST} to {LENGTH_MOST} characters; a few words make a good one."
    if unfit(password):
        return "A password has characters that can be seen."
    if len(set(password)) < 5 or password.casefold() == name.casefold():
        return "That password would be guessed at once; a few words that do not belong together are better."
    return ""


def hashed(password: str) -> str:
    """Return the hash to keep. Raises CannotCheckError when too many wait."""
    with _Place():
        return _HASHER.hash(password.encode("utf-8", "surrogatepass"))


def is_chosen(kept: str | None, password: str) -> bool:
    """Say whether a hash is of a password; without a hash it takes as long. Raises CannotCheckError."""
    if len(password) > LENGTH_MOST:
        return False
    with _Place():
        try:
            _HASHER.verify(kept or _NOBODYS, password.encode("utf-8", "surrogatepass"))
        except VerificationError:
            return False
        except InvalidHashError as error:
            raise CannotCheckError(f"the password's hash cannot be read: {error}") from error
    return kept is not None


class _Place:
    """The one place at which a password is hashed."""

    def __enter__(self) -> None:
        if not _place.acquire(timeout=_PATIENCE):
            raise CannotCheckError("too many passwords are being checked at once")

    def __exit__(self, *_: object) -> None:
        _place.release()
