"""Edits as ranges over an original, applied once by one renderer.

An edit ``(start, end, new)`` replaces ``[start, end)`` of the original by ``new``; an insertion has
``start == end``.
Ranges must not overlap: two features that want the same place are a fault of ours, and
``OverlapError`` stops the part rather than garbling it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T", str, bytes)

# Plain tuples: a message has hundreds.
Edit: TypeAlias = tuple[int, int, T]
Range: TypeAlias = tuple[int, int]


class OverlapError(AssertionError):
    """Two edits touch the same place, or one reaches outside the original."""


def ordered(edits: Iterable[Edit[T]], length: int) -> list[Edit[T]]:
    """Return the edits in order of place; ``length`` is the original's. Raises OverlapError."""
    result = sorted(edits)
    last_start = -1
    last_end = 0
    for start, end, _ in result:
        if start < last_end or start == last_start or end < start:
            raise OverlapError(f"edits overlap at {start}")
        last_start, last_end = start, end
    if last_end > length:
        raise OverlapError("an edit reaches outside the original")
    return result


def splice(original: T, edits: list[Edit[T]]) -> T:
    """Return ``original`` with ``edits`` done; they must come from ``ordered``."""
    pieces: list[T] = []
    position = 0
    for start, end, new in edits:
        pieces.append(original[position:start])
        pieces.append(new)
        position = end
    pieces.append(original[position:])
    empty: Any = original[
        :0
    ]  # str.join or bytes.join, which the checkers cannot tell apart by a type variable
    joined: T = empty.join(pieces)
    return joined
