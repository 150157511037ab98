"""What a backup needs of a stream: that no segment is retired meanwhile, and how much of each is whole.

A store that was copied first has not what the spool took since; so until the spool is copied as well, no
segment may make room, even where it could go early. Backups share the lock of the stream's folder (flock(2)),
and whoever retires takes it alone, without waiting. A lock ends with the process that has it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from gatepost_core.spool import entry, segment
from gatepost_core.spool.entry import End
from gatepost_core.spool.segment import HEAD_SIZE, Segment

_PIECE: Final = 2 * entry.CONTENT_MOST


@contextmanager
def kept(folders: Iterable[Path]) -> Iterator[None]:
    """Have no segment of these streams retired while the block runs. Raises OSError."""
    with ExitStack() as stack:
        for folder in folders:
            fcntl.flock(stack.enter_context(_lock(folder)), fcntl.LOCK_SH)
        yield


@contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Have no backup begin while the block runs; False where one is running. Raises OSError."""
    with _lock(folder) as descriptor:
        yield segment.free(descriptor)


def held(folder: Path) -> bool:
    """Say whether somebody writes to a stream now. Raises OSError."""
    for one in segment.segments(folder):
        with _opened(one) as descriptor:
            if not segment.free(descriptor):
                return True
    return False


def whole(one: Segment) -> int:
    """Return how many of a segment's first bytes a copy is to have. Raises OSError.

    All; but of one that is being written to no more than what is whole: the rest would look damaged.
    """
    with _opened(one) as descriptor:
        if segment.free(descriptor):
            return os.fstat(descriptor).st_size
        at = HEAD_SIZE
        while True:
            found = entry.decode(one.id, os.pread(descriptor, _PIECE, at), _PIECE)
            at += found.size
            if found.end is not End.PIECE or not found.size:
                return at


@contextmanager
def _lock(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _opened(one: Segment) -> Iterator[int]:
    descriptor = os.open(one.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
