"""The files in which processes keep their numbers for prometheus_client, whose faults must not stop mail.

The library maps a file that it has only made longer: where the file system is full, the kernel kills whoever
writes to such a page (SIGBUS), and a folder that is gone ends each new process. Here a file's blocks are
allocated before it is mapped (posix_fallocate(3)); where that fails, and for a file that is damaged, the
process keeps its numbers in memory of its own. Nobody sees those: metrics stop, mail goes on.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from prometheus_client import mmap_dict, values

_FIRST = 1 << 16  # bytes, as the library has it: some hundred numbers
_ENTRY = struct.Struct("i")


def install(process: Callable[[], str], tell: Callable[[str, Exception], object]) -> None:
    """Have the library use these files; ``process`` names the one that runs. ``tell`` hears of a fault."""

    class Told(SafeFile):
        """A file that tells."""

        def fault(self, error: Exception) -> None:
            """Tell of it."""
            tell(str(self._fname), error)

    values.MmapedDict = Told  # type: ignore[attr-defined, misc, unused-ignore]  # where the library makes its own
    values.ValueClass = values.MultiProcessValue(process)  # type: ignore[no-untyped-call]


class SafeFile(mmap_dict.MmapedDict):
    """The library's dictionary of numbers, ``_used`` bytes of ``_capacity``, in a file or in memory."""

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        self._fname = filename
        try:
            _allocate(filename)
            super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]
        except (OSError, RuntimeError, ValueError, struct.error) as error:
            self._f: Any = None
            self._keep_in_memory(b"", _FIRST, error)

    def fault(self, error: Exception) -> None:
        """Hear why numbers are kept where nobody sees them."""

    def _keep_in_memory(self, content: bytes, capacity: int, error: Exception) -> None:
        """Go on in memory of this process, with what there is; the file would show old numbers, and goes."""
        if self._f:
            self._f.close()
            self._f = None
        with suppress(OSError):
            os.unlink(self._fname)  # noqa: PTH108
        self._m = mmap.mmap(-1, capacity)
        self._capacity = capacity
        if content:
            self._m[: len(content)] = content
        else:
            self._positions: dict[str, int] = {}
            self._used = 8
            self._m[:4] = _ENTRY.pack(self._used)
        self.fault(error)

    def _init_value(self, key: str) -> None:
        """Make room for a number, then have the library put it there."""
        needed = self._used + _ENTRY.size + len(key.encode()) + 8 + 16
        if needed > self._capacity:
            self._grow(max(2 * self._capacity, needed))
        super()._init_value(key)  # type: ignore[no-untyped-call]

    def _grow(self, capacity: int) -> None:
        content = self._m[: self._used]
        if self._f is None:
            self._m = mmap.mmap(-1, capacity)
            self._m[: len(content)] = content
            self._capacity = capacity
            return
        try:
            os.posix_fallocate(self._f.fileno(), 0, capacity)
            self._m = mmap.mmap(self._f.fileno(), capacity)
            self._capacity = capacity
        except (OSError, ValueError) as error:
            self._keep_in_memory(content, capacity, error)

    def close(self) -> None:
        """Give file and memory back."""
        self._m.close()
        if self._f:
            self._f.close()
            self._f = None


def _allocate(filename: str) -> None:
    """Make a file with blocks for all that it will hold at first, or leave none there. Raises OSError."""
    descriptor = os.open(filename, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        os.posix_fallocate(descriptor, 0, max(os.fstat(descriptor).st_size, _FIRST))
    except OSError:
        os.unlink(filename)  # noqa: PTH108
        raise
    finally:
        os.close(descriptor)
