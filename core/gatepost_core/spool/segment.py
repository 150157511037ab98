"""A segment: its file's name, its head, and the files of a stream's folder.

``<id>.segment`` is one that was begun, ``<random>.spare`` one that waits to be used, ``<random>.new`` one
that is being made, ``<id>.aside`` what could not be read of one (``aside``). Ids are 32 hexadecimal digits,
of which the first 12 are the time. The head takes the first 64 bytes: a magic number, the version of the
format, the id, and their CRC-32C. A writer holds its segment locked (flock(2)) for as long as it lives: a
lock that is free means that nothing will be appended any more.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import google_crc32c

_HEAD = struct.Struct("<16sI16s24xI")
_MAGIC = b"gatepost spool\r\n"
VERSION: Final = 1
HEAD_SIZE: Final = _HEAD.size
ID_SIZE: Final = 16
_SEGMENT, _SPARE, _NEW = ".segment", ".spare", ".new"
# For the group as far as the umask lets it: where each daemon has a user, the reader is another one.
MODE: Final = 0o660
_ZEROS = bytes(1 << 18)


class SpoolError(Exception):
    """The spool cannot take an entry now; the text says which file or folder, and why."""


class SpoolFull(SpoolError):  # noqa: N818 - a condition that passes
    """The stream has all the bytes that it may have."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment that was begun. ``id``: 16 bytes."""

    id: bytes
    path: Path


def head(segment: bytes) -> bytes:
    """Return the head of the segment with that id."""
    bare = _HEAD.pack(_MAGIC, VERSION, segment, 0)[:-4]
    return bare + checksum(bare).to_bytes(4, "little")


def checksum(data: bytes) -> int:
    """Return the CRC-32C of some bytes."""
    return int(google_crc32c.value(data))


def fault(segment: bytes, first: bytes) -> str:
    """Say in words what is wrong with a segment's first ``HEAD_SIZE`` bytes; empty when nothing is."""
    if len(first) < HEAD_SIZE:
        return f"has {len(first)} bytes, fewer than a segment's head"
    magic, version, owner, crc = _HEAD.unpack(first[:HEAD_SIZE])
    if magic != _MAGIC:
        return "is no segment of a spool"
    if checksum(first[: HEAD_SIZE - 4]) != crc:
        return "has a damaged head"
    if version != VERSION:
        return f"has format {version}; this release reads format {VERSION}: use the release that wrote it"
    return "" if owner == segment else f"holds the segment {owner.hex()}: it was renamed"


def of_other_release(first: bytes) -> bool:
    """Say whether a segment's first ``HEAD_SIZE`` bytes are whole, and of a format that is not ours."""
    if len(first) < HEAD_SIZE:
        return False
    magic, version, _, crc = _HEAD.unpack(first[:HEAD_SIZE])
    return bool(magic == _MAGIC and checksum(first[: HEAD_SIZE - 4]) == crc and version != VERSION)


def new_id(now: float) -> bytes:
    """Return the id of a segment begun at ``now`` (seconds since 1970): 48 bits of time, 80 random."""
    return int(now * 1000).to_bytes(6, "big") + secrets.token_bytes(ID_SIZE - 6)


def segments(folder: Path) -> list[Segment]:
    """Return the segments of a stream, the one that was begun first in front. Raises OSError."""
    found = []
    for path in _named(folder, _SEGMENT):
        with suppress(ValueError):
            number = bytes.fromhex(path.stem)
            if len(number) == ID_SIZE:
                found.append(Segment(number, path))
    return found


@dataclass(frozen=True, slots=True)
class Blank:
    """A file of zeros that is ours: locked by ``descriptor``."""

    path: Path
    descriptor: int


class ForeignFile(OSError):  # noqa: N818 - a condition
    """What has the name of a stream's file is a link, a pipe or the like."""


def opened(path: Path, flags: int) -> int:
    """Open a file of a stream (open(2)), and nothing else that has its name. Raises ForeignFile, OSError.

    A stream's daemon can make what it likes there, and another user opens it: a link would lead to that
    one's own files, and a pipe would hold him up.
    """
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise ForeignFile(error.errno, "is no file of the spool's own", str(path)) from error
        raise
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        os.close(descriptor)
        raise ForeignFile(errno.EINVAL, "is no file of the spool's own", str(path))
    return descriptor


def blank(folder: Path, size: int, most: int) -> Blank:
    """Return a file to begin a segment in: one that waited to be used, or a new one.

    ``size``: bytes of each segment; ``most``: bytes that the stream may have. Raises SpoolFull, OSError.
    """
    return _spare(folder, size) or _made(folder, size, most)


def begin(folder: Path, blank: Blank, now: float) -> Segment:
    """Return a new segment, its head on disk, which takes the blank. Raises OSError; that is gone then."""
    number = new_id(now)
    segment = Segment(number, folder / f"{number.hex()}{_SEGMENT}")
    try:
        os.pwrite(blank.descriptor, head(number), 0)
        os.fdatasync(blank.descriptor)
        blank.path.rename(segment.path)
        sync(folder)
    except BaseException:
        os.close(blank.descriptor)
        raise
    return segment


def give_back(blank: Blank) -> None:
    """Have a blank wait to be used. Raises OSError."""
    try:
        blank.path.rename(blank.path.with_name(f"{secrets.token_hex(ID_SIZE)}{_SPARE}"))
    finally:
        os.close(blank.descriptor)


def _spare(folder: Path, size: int) -> Blank | None:
    """Return a file that waited to be used; None when there is none. Those of another size are removed."""
    for path in _named(folder, _SPARE):
        with suppress(FileNotFoundError, ForeignFile):
            descriptor = opened(path, os.O_RDWR)
            # Another writer may have been first: it holds the lock, or has renamed the file.
            if free(descriptor) and path.exists():
                if os.fstat(descriptor).st_size == size:
                    return _taken(Blank(path, descriptor))
                path.unlink()
            os.close(descriptor)
    return None


def _taken(spare: Blank) -> Blank:
    """Return a spare under another name, so that nobody looks for it there. Raises OSError."""
    path = spare.path.with_suffix(_NEW)
    try:
        spare.path.rename(path)
    except BaseException:
        os.close(spare.descriptor)
        raise
    return Blank(path, spare.descriptor)


def _made(folder: Path, size: int, most: int) -> Blank:
    """Return a new file of zeros. Raises SpoolFull, OSError."""
    has = used(folder)
    if has + size > most:
        raise SpoolFull(
            f"the spool {folder} has {has} bytes of the {most} that it may have: the store does not take its "
            "entries; see whether gatepost-events runs"
        )
    made = _empty(folder)
    try:
        _zero(made.descriptor, size)
    except BaseException:
        made.path.unlink(missing_ok=True)
        os.close(made.descriptor)
        raise
    return made


def _empty(folder: Path) -> Blank:
    """Return a new empty file. Whoever sweeps may have removed one before we had its lock. Raises OSError."""
    while True:
        path = folder / f"{secrets.token_hex(ID_SIZE)}{_NEW}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return Blank(path, descriptor)
        os.close(descriptor)


def used(folder: Path) -> int:
    """Return the bytes of all files of a stream. Raises OSError."""
    total = 0
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            total += path.stat().st_size if path.suffix in (_SEGMENT, _SPARE, _NEW) else 0
    return total


def free(descriptor: int) -> bool:
    """Take the lock of a file; False while its writer has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def spare(segment: Segment, descriptor: int) -> None:
    """Make a segment whose lock we have one that waits to be used: all zeros again. Raises OSError."""
    _zero(descriptor, os.fstat(descriptor).st_size)
    segment.path.rename(segment.path.with_name(f"{secrets.token_hex(ID_SIZE)}{_SPARE}"))
    sync(segment.path.parent)


def sweep(folder: Path) -> None:
    """Remove files that were being made when their process was killed. Raises OSError."""
    for path in _named(folder, _NEW):
        with suppress(FileNotFoundError, ForeignFile):
            descriptor = opened(path, os.O_RDWR)
            if free(descriptor):
                path.unlink(missing_ok=True)
            os.close(descriptor)


def spares(folder: Path) -> int:
    """Return how many segments wait to be used. Raises OSError."""
    return sum(1 for _ in _named(folder, _SPARE))


def sync(folder: Path) -> None:
    """Have a folder's entries on disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _named(folder: Path, suffix: str) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.suffix == suffix)


def _zero(descriptor: int, size: int) -> None:
    """Write zeros, on disk at the end: blocks that are only allocated would change at the first write.

    Flushed piece by piece: what a writer flushes meanwhile waits for no more than one of them.
    """
    at = 0
    while at < size:
        at += os.pwritev(descriptor, (_ZEROS[: size - at],), at, os.RWF_DSYNC)
    os.fsync(descriptor)
