"""Reading a stream from where the store last committed: entries, and the position after them.

A position is the id of a segment and an offset; it is the reader's to keep, together with what it made of
the entries. A segment that its writer still holds may have more later; of one that nobody holds all is
known. What cannot be read ends its segment, never a stream. What is damaged, or was torn when its writer was
killed, is told: ``set_aside`` keeps the rest of it for people to look at. What another release wrote stays.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gatepost_core.spool import entry, segment
from gatepost_core.spool.entry import End, Entry
from gatepost_core.spool.segment import HEAD_SIZE, Segment

# Read at once: usually a few entries have come, if any; where there is more, room for the largest entry.
_FIRST, _PIECE = 1 << 16, 2 * entry.CONTENT_MOST


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries of one segment and where they end. ``finished``: nothing will ever follow them there.

    ``fault`` says in words why nothing more can be read though something is there; empty when all is well.
    ``damaged``: that will not change, and no release can read it (else: this one cannot, or not now).
    """

    segment: bytes
    entries: list[Entry]
    end: int
    finished: bool
    fault: str = ""
    damaged: bool = False


def read(
    folder: Path, positions: Mapping[bytes, int], most: int, skip: AbstractSet[bytes] = frozenset()
) -> Iterator[Batch]:
    """Yield what each segment has beyond its position, at most ``most`` entries of each, oldest first.

    ``positions``: how far each segment has been read, by its id; those that are not there are read from
    their beginning. ``skip``: segments that are not looked at. Raises OSError, for the folder alone.
    """
    for one in segment.segments(folder):
        if one.id in skip:
            continue
        try:
            yield _batch(one, positions.get(one.id, 0), most)
        except FileNotFoundError:  # retired meanwhile
            continue
        except OSError as error:
            yield Batch(
                one.id, [], positions.get(one.id, 0), finished=False, fault=f"cannot be read: {error}"
            )


def _batch(one: Segment, position: int, most: int) -> Batch:
    with _opened(one.path) as descriptor:
        # The lock is asked for first: what a writer that is gone has written is all there then.
        over = segment.free(descriptor)
        if position < HEAD_SIZE:
            data = os.pread(descriptor, HEAD_SIZE, 0)
            why = segment.fault(one.id, data)
            if why:
                return Batch(
                    one.id, [], 0, finished=False, fault=why, damaged=not segment.of_other_release(data)
                )
            position = HEAD_SIZE
        data = os.pread(descriptor, _FIRST, position)
        found = entry.decode(one.id, data, most)
        if found.end is End.PIECE and len(found.entries) < most and len(data) == _FIRST:
            data = os.pread(descriptor, _PIECE, position)
            found = entry.decode(one.id, data, most)
        end = position + found.size
        if found.entries or not over:
            return Batch(one.id, found.entries, end, finished=False)
        if found.end is End.ZERO or not data[found.size :].strip(b"\0"):
            return Batch(one.id, [], end, finished=True)
        fault = f"is torn or damaged from byte {end} on"
        return Batch(one.id, [], end, finished=False, fault=fault, damaged=True)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = segment.opened(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
