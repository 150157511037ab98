"""Edits as ranges over an original, applied once by one renderer.

An edit ``(start, end, new)`` replaces ``[start, end)`` of the original by ``new``; an insertion has
``start == end``.
Ranges must not overlap: two features that want the same place are a fault of ours, and
``OverlapError`` stops the part rather than garbling it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
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
    kept = between(original, [(start, end) for start, end, _ in edits])
    return woven(kept, [new for _, _, new in edits])


def between(original: T, ranges: list[Range]) -> list[T]:
    """Return what of ``original`` stands before, between and after ``ranges``, which are in order."""
    bounds = [0, *chain.from_iterable(ranges), len(original)]
    return [original[end:start] for end, start in zip(bounds[::2], bounds[1::2], strict=True)]


def woven(kept: list[T], new: list[T]) -> T:
    """Return the pieces of ``between`` with ``new`` in the places of the ranges."""
    pieces: list[Any] = [*kept, *new]
    pieces[::2], pieces[1::2] = kept, new
    # str.join or bytes.join, which the checkers cannot tell apart by a type variable.
    joined: T = kept[0][:0].join(pieces)
    return joined
