"""A log that is a file, followed: rotated by renaming or by copying, compressed or not, read on after a stop.

A file is known by its first line, whatever its name, inode or compression are by then; a position is that and
an offset of bytes. So what was rotated while nobody read is found again and read to its end first.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
import os
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Final, TypeAlias

from gatepost_events.maillog.lines import LINE_MOST, Line, Reader

Opened: TypeAlias = gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile | FileIO
# Of a file in one look.
_PIECE: Final = 262_144
_HEAD_MOST: Final = 1_024
_OPENERS: Final[dict[str, Callable[[Path], Opened]]] = {
    ".gz": gzip.GzipFile,
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
}
# What of a compressed file is passed over at once.
_SKIP: Final = 1 << 20


class FileLog:
    """The log at ``path``. ``position``: what ``position`` was when it was read last; '' begins anew.

    Anew: with what was written at ``since`` or later (seconds since 1970). ``lost`` counts times that what
    was not read yet could not be found any more.
    """

    def __init__(
        self, path: Path, reader: Reader, position: str, since: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = path
        self._reader = reader
        self._clock = clock
        self._file: Opened | None = None
        self._name = path
        self._head = ""
        self._offset = 0
        self._rest = b""
        self._too_long = False
        self._until: float | None = None
        self._next: deque[Path] = deque()
        self.lost = 0
        self.more = False
        self._begin(position, since)

    @property
    def position(self) -> str:
        """How far all lines were read that ``read`` returned."""
        return json.dumps({"head": self._head, "offset": self._offset - len(self._rest)})

    def read(self) -> list[Line]:
        """Return what was written since. Raises OSError; the same is read again then."""
        if self._file is None:
            self._open(self._path)
        assert self._file is not None  # noqa: S101 - _open raises where it cannot be opened
        try:
            piece = self._file.read(_PIECE)
        except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile):
            self.lost += 1  # a damaged one, of those that are compressed
            piece = b""
        self.more = len(piece) == _PIECE
        if not piece:
            self.more = self._at_end()
            return []
        return list(self._lines(piece))

    def close(self) -> None:
        """Have nothing open."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _lines(self, piece: bytes) -> Iterator[Line]:
        if not self._head:
            self._head = _fingerprint(piece) if not self._offset else _head_of(self._name)
        self._offset += len(piece)
        *whole, self._rest = (self._rest + piece).split(b"\n")
        if self._too_long and whole:
            del whole[0]
            self._too_long = False
        if len(self._rest) > LINE_MOST:  # no line of Postfix's; what comes up to its end is none either
            self._too_long, self._rest = True, b""
        now = datetime.fromtimestamp(self._clock() if self._until is None else self._until, UTC)
        for line in whole:
            found = self._reader.read(line.decode("utf-8", "replace"), now)
            if found is not None:
                yield found

    def _begin(self, position: str, since: float) -> None:
        """Find where to read on."""
        if not position:
            older = [path for path in self._rotated() if path.stat().st_mtime >= since]
            self._next.extend([*older, self._path])
            self._switch()
            return
        known = json.loads(position)
        self._resume(known["head"], known["offset"])

    def _resume(self, head: str, offset: int) -> None:
        """Go on in the file that begins with a line, wherever it is now, and then in what came after it."""
        files = [*self._rotated(), self._path]
        for number in range(len(files) - 1, -1, -1):
            if head and _head_of(files[number]) == head and self._open_at(files[number], offset):
                self._next = deque(files[number + 1 :])
                self._head = head
                return
        if head:
            self.lost += 1  # what came after it is in files of which nobody knows which were read
        self._next = deque()
        self._open(self._path)

    def _switch(self) -> None:
        while self._next:
            path = self._next.popleft()
            try:
                self._open(path)
            except OSError:
                if not self._next:
                    raise
                self.lost += 1
            else:
                return

    def _open(self, path: Path) -> None:
        self.close()
        self._file = _opened(path)
        self._name = path
        self._head, self._offset, self._rest, self._too_long = "", 0, b"", False
        self._until = None if path == self._path else path.stat().st_mtime

    def _open_at(self, path: Path, offset: int) -> bool:
        """Open a file at an offset; return whether it has as much."""
        self._open(path)
        assert self._file is not None  # noqa: S101
        if path.suffix not in _OPENERS:
            if path.stat().st_size < offset:
                return False
            self._file.seek(max(0, offset - 1))
        else:
            left = offset - 1
            while left > 0:
                skipped = len(self._file.read(min(left, _SKIP)))
                if not skipped:
                    return False
                left -= skipped
        # In the middle of a line that was too long, its rest is none either.
        self._too_long = offset > 0 and self._file.read(1) != b"\n"
        self._offset = offset
        return True

    def _at_end(self) -> bool:
        """Look whether the log goes on elsewhere; return whether there is more to read."""
        assert self._file is not None  # noqa: S101
        if self._next:
            self._switch()
            return True
        if self._name != self._path:
            self._open(self._path)
            return True
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False  # renamed, and the new one is not made yet
        mine = os.fstat(self._file.fileno())
        if there.st_ino != mine.st_ino or there.st_dev != mine.st_dev:
            if not there.st_size or mine.st_size > self._offset:
                return False  # whoever writes may not have gone over yet
        elif mine.st_size >= self._offset and (not self._offset or _head_of(self._path) == self._head):
            return False
        if self._offset:
            self._resume(self._head, self._offset - len(self._rest))
        else:
            self._open(self._path)
        return True

    def _rotated(self) -> list[Path]:
        """Return what the file was before, the oldest first."""
        names = (f"{self._path.name}.", f"{self._path.name}-")
        try:
            found = [path for path in self._path.parent.iterdir() if path.name.startswith(names)]
            return sorted(found, key=lambda path: (path.stat().st_mtime, path.name))
        except OSError:
            return []


def _opened(path: Path) -> Opened:
    return _OPENERS.get(path.suffix, FileIO)(path)


def _head_of(path: Path) -> str:
    """Return what a file is known by; '' for one that is empty or cannot be read."""
    try:
        with _opened(path) as file:
            return _fingerprint(file.read(_HEAD_MOST))
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return ""


def _fingerprint(beginning: bytes) -> str:
    line, end, _ = beginning[:_HEAD_MOST].partition(b"\n")
    return hashlib.sha256(line).hexdigest()[:32] if end or len(line) == _HEAD_MOST else ""
