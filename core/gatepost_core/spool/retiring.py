"""Making room: segments of which the store has all, after a time, are used again.

A segment goes only when its writer is gone, everything in it was committed, and nothing was written to it
for ``keep`` seconds, unless the stream grows too large. That is longer than from one backup to the next: a
store that is restored from a backup reads the entries again that it had not, and knows those that it had by
their ids.
"""

from __future__ import annotations

import os
from collections.abc import Set as AbstractSet
from pathlib import Path

from gatepost_core.spool import segment
from gatepost_core.spool.holding import alone

# Segments that wait to be used, for each stream; more are given back to the file system.
_SPARES = 4


def retire(
    folder: Path, finished: AbstractSet[bytes], keep: float, now: float, *, most: int = 0
) -> list[bytes]:
    """Retire what can be; return the ids of the segments that are gone.

    ``finished``: segments that ``reader`` told so, committed to their ends. ``now``: seconds since 1970.
    ``most``: bytes that the stream may have. While it has more than half of them, what is finished goes
    before its time, the oldest first: new entries need the room more than backups do. 0: no such limit.
    Nothing is retired while a backup copies the stream (``holding``). Raises OSError; what was retired before
    that is gone all the same.
    """
    with alone(folder) as ours:
        return _retired(folder, finished, keep, now, most) if ours else []


def _retired(folder: Path, finished: AbstractSet[bytes], keep: float, now: float, most: int) -> list[bytes]:
    segment.sweep(folder)
    gone = []
    spared = 0
    has = segment.used(folder)
    for one in segment.segments(folder):
        if one.id not in finished:
            continue
        try:
            descriptor = segment.opened(one.path, os.O_RDWR)
        except segment.ForeignFile:  # in a segment's place: it is not zeroed, and in nobody's way
            continue
        try:
            status = os.fstat(descriptor)
            crowded = 0 < most // 2 < has - spared
            if (now - status.st_mtime < keep and not crowded) or not segment.free(descriptor):
                continue
            if segment.spares(folder) < _SPARES:
                segment.spare(one, descriptor)
            else:
                one.path.unlink()
            # What waits to be used is room as well.
            spared += status.st_size
            gone.append(one.id)
        finally:
            os.close(descriptor)
    return gone
