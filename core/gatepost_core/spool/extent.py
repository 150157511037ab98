"""How far streams are written, and what a reader has still to take of them. Takes no lock, decodes nothing.

What a writer appends goes into zeros and holds none but in the heads of entries, so a piece of some hundred
bytes is all zeros only where nothing was written: the end is searched for like a word in a dictionary.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from gatepost_core.spool import entry, segment
from gatepost_core.spool.folder import streams
from gatepost_core.spool.segment import HEAD_SIZE, Segment

# Where each segment ends, by stream and the segment's id; positions of a reader look the same.
Ends: TypeAlias = Mapping[str, Mapping[bytes, int]]
# Of one stream; more are not counted.
COUNTED: Final = 20_000
_BLOCK: Final = 4096
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Beyond:
    """What a stream has beyond a reader's positions.

    ``entries``: at most ``COUNTED``; then there may be more. ``size``: bytes. ``oldest``: when the first of
    them was made, in seconds since 1970; an entry's id begins with that. None where it cannot be told.
    """

    entries: int
    size: int
    oldest: float | None


def ends(directory: Path) -> Ends:
    """Return where the segments of all streams below the spool's directory end now.

    A few reads for each. Raises OSError, PermissionError among them.
    """
    os.scandir(directory).close()  # a folder that is missing or closed to the caller is told
    # A restore leaves the streams that it replaced under other names: nobody takes those.
    return {folder.name: dict(_ends(folder)) for folder in streams(directory)}


def beyond(directory: Path, until: Ends, positions: Ends) -> dict[str, Beyond]:
    """Return what each stream has from ``positions`` up to ``until``; streams without anything are left out.

    Reads the heads of at most ``COUNTED`` entries a stream. Raises OSError.
    """
    found = {}
    for stream, segments in until.items():
        taken = positions.get(stream, {})
        ahead = {
            number: (max(taken.get(number, 0), HEAD_SIZE), end)
            for number, end in segments.items()
            if end > max(taken.get(number, 0), HEAD_SIZE)
        }
        if ahead:
            found[stream] = _beyond(directory / stream, ahead)
    return found


def _ends(folder: Path) -> Iterator[tuple[bytes, int]]:
    for one in segment.segments(folder):
        with _opened(one) as descriptor:
            if descriptor is not None:
                yield one.id, _end(descriptor)


def _end(descriptor: int) -> int:
    """Return the offset behind the last byte that is no zero."""
    low, high = 0, -(-os.fstat(descriptor).st_size // _BLOCK)
    while low < high:  # blocks before ``low`` are written, those from ``high`` on are zeros
        middle = (low + high) // 2
        if os.pread(descriptor, _BLOCK, middle * _BLOCK).strip(b"\0"):
            low = middle + 1
        else:
            high = middle
    last = max(low - 1, 0) * _BLOCK
    return last + len(os.pread(descriptor, _BLOCK, last).rstrip(b"\0"))


def _beyond(folder: Path, ahead: Mapping[bytes, tuple[int, int]]) -> Beyond:
    entries, oldest = 0, None
    for one in segment.segments(folder):
        if one.id not in ahead:
            continue
        with _opened(one) as descriptor:
            for made in _made(descriptor, *ahead[one.id]):
                oldest = made if oldest is None else min(oldest, made)
                entries += 1
                if entries == COUNTED:
                    break
        if entries == COUNTED:
            break
    return Beyond(entries, sum(end - start for start, end in ahead.values()), oldest)


def _made(descriptor: int | None, start: int, end: int) -> Iterator[float]:
    """Yield when each entry was made, in seconds since 1970."""
    data, at = b"", start
    while descriptor is not None and start < end:
        if start + entry.HEAD_SIZE > at + len(data):
            data, at = os.pread(descriptor, min(_PIECE, end - start), start), start
        place = entry.place(data, start - at)
        if place is None:
            return
        number, size = place
        yield int.from_bytes(number[:6], "big") / 1000
        start += size


@contextmanager
def _opened(one: Segment) -> Iterator[int | None]:
    """Open a segment; None for one that was retired meanwhile, or is none. Raises OSError."""
    try:
        descriptor = segment.opened(one.path, os.O_RDONLY)
    except (FileNotFoundError, segment.ForeignFile):
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)
