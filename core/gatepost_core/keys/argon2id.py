"""Password hashes that other systems made: argon2id (RFC 9106), in the usual ``$argon2id$...`` text.

What a hash costs to check is bounded when it is taken in, so that no login can take more memory or time
than is known beforehand, and few are checked at once. At the bounds one takes up to half a second; a
refusal's fixed time must be later, or time tells who has an imported password, so ``matches`` says how
long a check took, and ``seconds`` what is to be expected.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
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


def _unheard(seconds: float) -> None:
    del seconds


def matches(text: str, password: bytes, took: Callable[[float], object] = _unheard) -> bool:
    """Say whether the hash is of ``password``. Raises CannotCheckError, also when too many wait for it.

    ``took`` is told the seconds of the check itself, without the wait for a place.
    """
    if not _places.acquire(timeout=_PATIENCE):
        raise CannotCheckError("too many imported passwords are being checked at once")
    began = time.monotonic()
    try:
        return _verify(text, password)
    except Argon2Error as error:
        raise CannotCheckError(f"the imported password hash cannot be checked: {error}") from error
    finally:
        took(time.monotonic() - began)
        _places.release()


def seconds(texts: Iterable[str]) -> float:
    """Return how long the dearest of these hashes takes to check here and now; 0 without any.

    One hash is tried for each set of parameters; what is no hash is left out.
    """
    kinds = {text.rsplit("$", 2)[0]: text for text in texts}  # $argon2id$v=19$m=...,t=...,p=...
    longest: list[float] = [0.0]
    for text in kinds.values():
        with suppress(CannotCheckError):
            matches(text, b"", longest.append)
    return max(longest)


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
