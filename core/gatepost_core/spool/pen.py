"""The segment that a writer has now, and the next one. Not for several threads at once.

The next one is made by a thread of its own once half of the present one is taken, so that nobody's message
waits for megabytes of zeros.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from gatepost_core.spool import segment
from gatepost_core.spool.segment import HEAD_SIZE, SpoolError

_APART: Final = 0.002


class Pen:
    """Writes to the stream at ``folder``, which must be there.

    ``size``: bytes of a segment; ``most``: bytes that the stream may have. ``id`` is the present segment's,
    ``room`` the bytes that it has left: none before the first segment was begun.
    """

    def __init__(self, folder: Path, *, size: int, most: int, clock: Callable[[], float]) -> None:
        self.folder = folder
        self.size = size
        self.id = b""
        self.room = 0
        self._most = most
        self._clock = clock
        # When the newest segment was begun, in seconds since 1970; each is later than the one before.
        self._begun = 0.0
        self._file: int | None = None
        self._next: segment.Blank | None = None
        self._maker: threading.Thread | None = None

    def begin(self) -> None:
        """Leave the present segment and begin another. Raises SpoolError, SpoolFull."""
        self.leave()
        maker, self._maker = self._maker, None
        if maker is not None:
            maker.join()
        blank, self._next = self._next, None
        try:
            blank = blank or segment.blank(self.folder, self.size, self._most)
            # Segments are read in the order of their names, whose times are milliseconds: two within one, or
            # with the clock set back between them, would else be read in any order.
            self._begun = max(self._clock(), self._begun + _APART)
            begun = segment.begin(self.folder, blank, self._begun)
        except OSError as error:
            why = error.strerror or error
            raise SpoolError(f"no segment can be begun in {self.folder}: {why}") from error
        self.id, self._file, self.room = begun.id, blank.descriptor, self.size - HEAD_SIZE

    def write(self, data: bytes, *, flush: bool) -> None:
        """Append what there is room for. ``flush``: it is on disk then. Raises SpoolError.

        The segment ends then where ``data`` would have begun, and is no more ours: Linux reports an error
        of a flush once only, and what is in memory would be taken for what is on disk.
        """
        assert self._file is not None  # noqa: S101 - there is room
        start = self.size - self.room
        try:
            written, length = 0, len(data)
            while written < length:
                # Written and flushed by one system call, during which other threads have Python's lock.
                rest = data[written:] if written else data
                written += os.pwritev(self._file, (rest,), start + written, os.RWF_DSYNC if flush else 0)
        except OSError as error:
            self._cut(start)
            why = error.strerror or error
            raise SpoolError(f"the spool {self.folder} cannot be written: {why}") from error
        self.room -= length
        if self._maker is None and self.room < self.size >> 1:
            maker = threading.Thread(target=self._make, name="spool-segment", daemon=True)
            # What was written is on disk, whether or not the system gives a thread (systemd's TasksMax).
            with suppress(RuntimeError):
                maker.start()
                self._maker = maker

    def unflushed(self) -> int:
        """Return the present file once more, to be flushed and closed by who asks. Raises OSError."""
        assert self._file is not None  # noqa: S101 - something was written
        return os.dup(self._file)

    def leave(self) -> None:
        """Leave the segment. What was written stays."""
        self.room = 0
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):  # close(2) tells errors of earlier writes
                os.close(file)

    def close(self) -> None:
        """Leave the segment, and give the next one back."""
        self.leave()
        if self._maker is not None:
            self._maker.join()
        blank, self._next = self._next, None
        if blank is not None:
            with suppress(OSError):
                segment.give_back(blank)

    def _make(self) -> None:
        # Where that fails, whoever needs the segment tries again, and hears of it.
        with suppress(OSError, SpoolError):
            self._next = segment.blank(self.folder, self.size, self._most)

    def _cut(self, end: int) -> None:
        with suppress(OSError):
            assert self._file is not None  # noqa: S101 - see write
            os.ftruncate(self._file, end)
            os.fsync(self._file)
        self.leave()
