"""Password hashes that other systems made: argon2id (RFC 9106), in the usual ``$argon2id$...`` text.

What a hash costs to check is bounded when it is taken in, so that no login can take more memory or time
than is known beforehand, and few are checked at once. At the bounds one takes about 0.1 s, less than
the fixed delay of a refusal, so that time does not tell who has an imported password.
"""

from __future__ import annotations

import threading
from typing import Final

from argon2 import Parameters, extract_parameters
from argon2.exceptions import Argon2Error, InvalidHashError, VerifyMismatchError
from argon2.low_level import Type, verify_secret

MEMORY_MOST: Final = 128 * 1024  # KiB
WORK_MOST: Final = 256 * 1024  # KiB times passes; RFC 9106's second choice is 64 MiB, 3 passes
LANES_MOST: Final = 8
_LENGTH_MOST = 512
_AT_ONCE = 2
_PATIENCE = 4.0  # seconds; Postfix waits 10 in all
_FORM = "$argon2id$v=19$m=...,t=...,p=...$SALT$HASH"

_places = threading.BoundedSemaphore(_AT_ONCE)


class CannotCheckError(LookupError):
    """A password cannot be held against its hash now; never the client's fault."""


def check(text: str) -> str:
    """Return the hash without surrounding white space. Raises ValueError, saying what is wrong with it."""
    text = text.strip()
    try:
        cost = extract_parameters(text)
    except (InvalidHashError, ValueError) as error:
        raise ValueError(f"the hash is not argon2id; expected {_FORM}") from error
    if cost.type is not Type.ID or len(text) > _LENGTH_MOST:
        raise ValueError(f"the hash is not argon2id, or too long; expected {_FORM}")
    _check_cost(cost)
    try:
        _verify(text, b"")
    except Argon2Error as error:
        raise ValueError(f"the hash is not argon2id ({error}); expected {_FORM}") from error
    return text


def matches(text: str, password: bytes) -> bool:
    """Say whether the hash is of ``password``. Raises CannotCheckError, also when too many wait for it."""
    if not _places.acquire(timeout=_PATIENCE):
        raise CannotCheckError("too many imported passwords are being checked at once")
    try:
        return _verify(text, password)
    except Argon2Error as error:
        raise CannotCheckError(f"the imported password hash cannot be checked: {error}") from error
    finally:
        _places.release()


def _check_cost(cost: Parameters) -> None:
    work = cost.memory_cost * cost.time_cost
    if cost.memory_cost > MEMORY_MOST or work > WORK_MOST or cost.parallelism > LANES_MOST:
        raise ValueError(
            f"the hash costs too much to check (m={cost.memory_cost}, t={cost.time_cost}, "
            f"p={cost.parallelism}); at most m={MEMORY_MOST}, m times t {WORK_MOST}, p={LANES_MOST}"
        )


def _verify(text: str, password: bytes) -> bool:
    try:
        return verify_secret(text.encode("ascii"), password, Type.ID)
    except VerifyMismatchError:
        return False
