"""Edits as ranges over an original, applied once by one renderer.

An edit replaces ``[start, end)`` of the original by ``new``; an insertion has ``start == end``.
Ranges must not overlap: two features that want the same place are a fault of ours, and
``OverlapError`` stops the part rather than garbling it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T", str, bytes)


class OverlapError(AssertionError):
    """Two edits touch the same place, or one reaches outside the original."""


class Edit(NamedTuple, Generic[T]):
    """Replace ``[start, end)`` of the original by ``new``."""

    start: int
    end: int
    new: T


def ordered(edits: Iterable[Edit[T]], length: int) -> list[Edit[T]]:
    """Return the edits in order of place; ``length`` is the original's. Raises OverlapError."""
    result = sorted(edits)
    if result and (result[0].start < 0 or result[-1].end > length):
        raise OverlapError("an edit reaches outside the original")
    for edit in result:
        if edit.end < edit.start:
            raise OverlapError(f"an edit runs backwards at {edit.start}")
    for one, two in pairwise(result):
        if two.start < one.end or two.start == one.start:
            raise OverlapError(f"edits overlap at {two.start}")
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
    return original[:0].join(pieces)
