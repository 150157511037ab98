"""Appending what may be lost with the host, but not with the process: whoever does so never waits for a disk.

An entry is handed to the kernel at once, and a thread has all of the last second flushed. It also begins the
segments. What comes while there is none, because the disk is full or fails, is kept in memory and written
later; of too much the oldest is let go.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from gatepost_core.spool import entry
from gatepost_core.spool.entry import Entry
from gatepost_core.spool.pen import Pen
from gatepost_core.spool.segment import SpoolError

_EVERY_SECONDS = 1.0
_KEPT = 20_000


class Notes:
    """One process' way into the stream at ``folder``, which must be there. Made after a fork.

    ``size``: bytes of a segment; ``most``: bytes that the stream may have; ``report`` gets the reason, once,
    when entries cannot be written, and '' when they can again; ``lost`` hears of each entry that is let go.
    """

    def __init__(
        self,
        folder: Path,
        *,
        size: int,
        most: int,
        report: Callable[[str], object] = lambda _: None,
        clock: Callable[[], float] = time.time,
        kept: int = _KEPT,
        lost: Callable[[], object] = lambda: None,
    ) -> None:
        self._pen = Pen(folder, size=size, most=most, clock=clock)
        self._report = report
        self._lost = lost
        self._fault = ""
        self._lock = threading.Lock()  # of the three below, and of the pen while it is open
        self._open = False
        self._dirty = False
        self._kept: deque[Entry] = deque(maxlen=kept)
        self._go = threading.Event()
        self._ending = False
        self._round()
        self._thread = threading.Thread(target=self._run, name="spool-notes", daemon=True)
        self._thread.start()

    def append(self, one: Entry) -> None:
        """Keep an entry. Never waits and never fails, but with ValueError for what cannot be kept."""
        self.extend((one,))

    def extend(self, several: Sequence[Entry]) -> None:
        """Keep some entries, with one call of the kernel. Raises ValueError, and keeps none then."""
        entry.check(several)
        with self._lock:
            if self._open and self._written(several):
                return
            for one in several:
                if not self._open or not self._written((one,)):
                    self._wait(one)

    def _wait(self, one: Entry) -> None:
        """Keep an entry in memory until it can be written. Called with the lock."""
        if len(self._kept) == self._kept.maxlen:
            self._lost()
        self._kept.append(one)
        if self._open:
            self._open = False
            self._go.set()

    def _written(self, several: Sequence[Entry]) -> bool:
        """Write entries, if there is room for all and no fault. Called with the lock."""
        pen = self._pen
        piece = entry.encode(pen.id, several)
        if len(piece) > pen.room:
            return False
        try:
            pen.write(piece, flush=False)
        except SpoolError:  # the thread tries again, and tells
            self._dirty = False
            return False
        self._dirty = True
        return True

    def close(self) -> None:
        """Write what waits, as far as it can be written, and have all of it on disk."""
        self._ending = True
        self._go.set()
        self._thread.join()
        self._pen.close()

    def _run(self) -> None:
        while not self._ending:
            self._go.wait(_EVERY_SECONDS)
            self._go.clear()
            self._round()

    def _round(self) -> None:
        """Flush what was written, then write what is kept, with a new segment if there is none."""
        fault = ""
        try:
            self._flush()
            while not self._open or self._kept:
                self._begin()
        except (SpoolError, OSError) as error:
            fault = str(error)
        if fault != self._fault:
            self._fault = fault
            self._report(fault)

    def _flush(self) -> None:
        with self._lock:
            if not self._dirty:
                return
            self._dirty = False
            file = self._pen.unflushed()
        try:
            os.fdatasync(file)
        except OSError:
            with self._lock:  # what is in memory would be taken for what is on disk
                self._open = False
                self._pen.leave()
            raise
        finally:
            os.close(file)

    def _begin(self) -> None:
        """Begin a segment while nobody else writes; write what is kept, as much as it has room for."""
        with self._lock:
            self._open = False
        self._pen.begin()
        with self._lock:
            pieces, room = list[bytes](), self._pen.room
            for one in self._kept:
                piece = entry.encode(self._pen.id, (one,))
                room -= len(piece)
                if room < 0:
                    break
                pieces.append(piece)
            if pieces:
                self._pen.write(b"".join(pieces), flush=False)
                self._dirty = True
            for _ in pieces:
                self._kept.popleft()
            self._open = True
