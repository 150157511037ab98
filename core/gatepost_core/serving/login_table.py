"""Who logged in on which smtpd(8): a file that gatepost-sasl writes and gatepost-policy reads.

smtpd tells its process id to both (CPID in the auth protocol; the first part of ``instance`` in policy's),
and serves one session after the other; so the latest login of a process is that of the session at hand. The
file outlives a restart of either daemon, and so do sessions. An entry holds the user name's checksum: one
that is damaged, or of a session whose login could not be noted, is no entry: nothing is concluded from it.

Fixed size: eight places for each process id, of which the oldest gives way. Read and written by system calls,
since a mapped file that somebody cuts short would end the process. Faults raise OSError; no file is one.
"""

from __future__ import annotations

import os
import stat
import struct
import time
import zlib
from contextlib import suppress
from pathlib import Path

from gatepost_core.domain.logins import GrantedLogin

_ENTRY = struct.Struct("<IqqdI")  # process id (0: free), credential, secret, time, checksum
_BODY = struct.Struct("<Iqqd")  # the same without the checksum
_WAYS, _BUCKETS = 8, 1024
_BUCKET = _WAYS * _ENTRY.size
_HEADER = b"gatepost logins 1\n".ljust(_ENTRY.size, b"\0")
SIZE = len(_HEADER) + _BUCKETS * _BUCKET
_LOOK_SECONDS = 1.0  # whether the file still has its name
_CUT = 16  # hex digits of a process id that are worth reading


def pid_of(instance: str) -> int:
    """Return smtpd's process id from policy's ``instance`` (smtpd_check.c), 0 if none is there."""
    digits = instance[:_CUT].partition(".")[0]
    try:
        return int(digits, 16) & 0xFFFFFFFF
    except ValueError:
        return 0


class _Descriptor:
    """An open file, closed once nobody has it any more: one thread may replace what another reads."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.close(self.number)


class LoginTable:
    """The file at ``path``, opened when it is needed. For many threads and processes at once."""

    def __init__(self, path: Path, *, writing: bool = False) -> None:
        self._path = path
        self._flags = (os.O_RDWR | os.O_CREAT if writing else os.O_RDONLY) | os.O_CLOEXEC | os.O_NONBLOCK
        self._writing = writing
        self._file: _Descriptor | None = None
        self._look = 0.0

    def note(self, pid: int, username: str, login: GrantedLogin) -> None:
        """Note a login on a process, in place of its earlier one. Raises OSError."""
        opened = self._opened()
        file, at = opened.number, len(_HEADER) + pid % _BUCKETS * _BUCKET
        bucket = os.pread(file, _BUCKET, at)
        own = bucket.find(pid.to_bytes(4, "little"))
        if own % _ENTRY.size:  # none yet, or bytes in the middle of another
            own = _ENTRY.size * _way_of(bucket, pid)
        body = _BODY.pack(pid, *login)
        os.pwrite(file, body + _sum(body, username), at + own)

    def find(self, pid: int, username: str) -> GrantedLogin | None:
        """Return the login of the session that a process serves, None if not known. Raises OSError."""
        if not pid:  # free places have it
            return None
        mark = pid.to_bytes(4, "little")
        opened = self._opened()
        bucket = os.pread(opened.number, _BUCKET, len(_HEADER) + pid % _BUCKETS * _BUCKET)
        start = bucket.find(mark)
        while start >= 0:
            entry = bucket[start : start + _ENTRY.size]
            if not start % _ENTRY.size and entry[_BODY.size :] == _sum(entry[: _BODY.size], username):
                return GrantedLogin(*_BODY.unpack_from(entry)[1:])
            start = bucket.find(mark, start + 1)
        return None

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        self._file = None

    def _opened(self) -> _Descriptor:
        file, now = self._file, time.monotonic()
        if file is None or now >= self._look:
            self._look = now + _LOOK_SECONDS
            if file is None or not self._in_place(file.number):
                # The one before is closed once no thread reads it any more.
                file = self._file = self._open()
        return file

    def _open(self) -> _Descriptor:
        opened = _Descriptor(os.open(self._path, self._flags, 0o640))
        file, status = opened.number, os.fstat(opened.number)
        if not stat.S_ISREG(status.st_mode):
            raise FileNotFoundError(f"{self._path} is no file")
        if os.pread(file, len(_HEADER), 0) != _HEADER or status.st_size != SIZE:
            if not self._writing:
                raise FileNotFoundError(f"{self._path} is not a table of logins of this release")
            os.ftruncate(file, 0)
            os.ftruncate(file, SIZE)
            os.pwrite(file, _HEADER, 0)
        return opened

    def _in_place(self, file: int) -> bool:
        with suppress(OSError):
            mine, named = os.fstat(file), self._path.stat()
            return (mine.st_dev, mine.st_ino, named.st_size) == (named.st_dev, named.st_ino, SIZE)
        return False


def _way_of(bucket: bytes, pid: int) -> int:
    """Return a process's place in its bucket: its own, or a free one, or the oldest."""
    entries = list(_ENTRY.iter_unpack(bucket)) if len(bucket) == _BUCKET else []
    for way, entry in enumerate(entries):
        if entry[0] == pid:
            return way
    return min(range(len(entries)), key=lambda way: entries[way][3] if entries[way][0] else 0.0, default=0)


def _sum(entry: bytes, username: str) -> bytes:
    return zlib.crc32(entry + username.encode("utf-8", "surrogatepass")).to_bytes(4, "little")
