"""Message ids: 104 bits, 21 characters of ``[2-7a-z]``, sorted by time.

48 bits are the milliseconds since 1970 (UTC), 56 are random. Case does not matter, so
that an id survives as part of an address whose local part a host lower-cased on its way.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from gatepost_core.domain.memo import memo

LENGTH = 21
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BYTES = LENGTH_BYTES = 13
# RFC 4648's base 32 characters, handed out in ASCII order, so that ids sort as their bytes do.
_SORTED = b"234567abcdefghijklmnopqrstuvwxyz"
_ALPHABET = _SORTED.decode("ascii")
# Two characters at a time: the standard library's encoder takes as long again.
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_SHIFTS = range(95, 0, -10)
# As int() writes base 32: base64.b32decode takes twenty times the steps, for each message.
_DIGITS = bytes.maketrans(_SORTED, b"0123456789abcdefghijklmnopqrstuv")


def new(milliseconds: int) -> str:
    """Return a new id for the given time (milliseconds since 1970, UTC)."""
    return from_bytes(milliseconds.to_bytes(6, "big") + secrets.token_bytes(_BYTES - 6))


def first(milliseconds: int) -> str:
    """Return the least id that a time can have (milliseconds since 1970, UTC); before 1970: of 1970."""
    return from_bytes(max(milliseconds, 0).to_bytes(6, "big") + bytes(_BYTES - 6))


def from_bytes(raw: bytes) -> str:
    """Return the id that 13 bytes spell. Raises ValueError."""
    if len(raw) != _BYTES:
        raise ValueError(f"a message id has {_BYTES} bytes, not {len(raw)}")
    number = int.from_bytes(raw, "big") << 1
    return "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS]) + _PAIRS[number & 31][1]


def to_bytes(text: str) -> bytes:
    """Return the 13 bytes of an id, in any case of letters. Raises ValueError."""
    if len(text) != LENGTH:
        raise ValueError(f"not a message id: {text!r}; expected {LENGTH} characters of 2-7 and a-z")
    return _to_bytes(text)


def time_of(text: str) -> datetime:
    """Return the time of an id, in UTC. Raises ValueError."""
    return _EPOCH + timedelta(milliseconds=int.from_bytes(to_bytes(text)[:6], "big"))


@memo(64)  # each message needs its own several times
def _to_bytes(text: str) -> bytes:
    raw = text.lower().encode("ascii", "replace")
    if len(raw) != LENGTH or raw.translate(None, _SORTED):
        raise ValueError(f"not a message id: {text!r}; expected {LENGTH} characters of 2-7 and a-z")
    number = int(raw.translate(_DIGITS), 32)
    if number & 1:
        raise ValueError(f"not a message id: {text!r}")  # the 105th bit is not ours
    return (number >> 1).to_bytes(_BYTES, "big")
