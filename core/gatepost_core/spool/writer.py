"""Appending to a stream: many threads, one flush for all that came meanwhile.

Who comes while nobody writes does so at once, in its own thread. The others wait: whoever ends a write has
the one that came first go on, which writes its own entries and those of all who wait (group commit). So no
thread writes for others more than once, and none waits for a flush that has nothing of its own.

How it fails: SpoolError for each thread of a batch that was not written or not flushed, SpoolFull when the
stream has no room. The segment is given up then, cut where the batch began as far as that can be done, and
the next entry begins a new one: nothing has to be started anew when the fault has passed.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from gatepost_core.spool import entry
from gatepost_core.spool.entry import Entry
from gatepost_core.spool.pen import Pen
from gatepost_core.spool.segment import HEAD_SIZE, SpoolError


class _Waiting:
    """A thread that waits: released when its entries were written (``over``), or when it is to write."""

    __slots__ = ("entries", "failure", "over", "released")

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self.entries = entries
        self.over = False
        self.failure: SpoolError | None = None
        self.released = threading.Lock()
        self.released.acquire()


class Writer:
    """One process' way into the stream at ``folder``, which must be there. Made after a fork.

    ``size``: bytes of a segment; ``most``: bytes that the stream may have.
    """

    def __init__(self, folder: Path, *, size: int, most: int, clock: Callable[[], float] = time.time) -> None:
        self._pen = Pen(folder, size=size, most=most, clock=clock)
        self._lock = threading.Lock()  # of the two below
        self._busy = False
        self._waiting: deque[_Waiting] = deque()

    def begin(self) -> None:
        """Have a segment before there is an entry, which then waits for none. Raises SpoolError."""
        self.append()

    def append(self, *entries: Entry) -> None:
        """Keep entries: on disk when it returns. Raises SpoolError; ValueError for what cannot be kept."""
        entry.check(entries)
        mine = None
        with self._lock:
            if self._busy:
                mine = _Waiting(entries)
                self._waiting.append(mine)
            else:
                self._busy = True
        if mine is not None:
            mine.released.acquire()
            if mine.over:
                if mine.failure is not None:
                    raise SpoolError(str(mine.failure)) from mine.failure
                return
        self._write(entries)

    def close(self) -> None:
        """Give up the segment; nothing may be appended meanwhile. The next entry would begin another."""
        self._pen.close()

    def _write(self, entries: tuple[Entry, ...]) -> None:
        """Write some entries, and what waits and has room beside them. Called by the one who may write."""
        pen = self._pen
        others: list[_Waiting] = []
        failure: SpoolError | None = SpoolError("the thread that wrote was ended")
        try:
            piece = entry.encode(pen.id, entries)
            if len(piece) > pen.room or not pen.room:
                piece = self._elsewhere(entries, len(piece))
            if self._waiting:
                piece = self._joined(piece, others)
            if piece:
                pen.write(piece, flush=True)
            failure = None
        except SpoolError as error:
            failure = error
            raise
        finally:
            self._pass_on(others, failure)

    def _elsewhere(self, entries: tuple[Entry, ...], size: int) -> bytes:
        """Begin a segment; return the entries, of so many bytes, for it."""
        pen = self._pen
        if size > pen.size - HEAD_SIZE:
            raise SpoolError(f"{pen.folder}: {size} bytes are larger than a segment of {pen.size}")
        pen.begin()
        return entry.encode(pen.id, entries)

    def _joined(self, piece: bytes, others: list[_Waiting]) -> bytes:
        """Return a piece and what waits, as far as there is room; ``others`` gets whose that is."""
        pieces, room = [piece], self._pen.room - len(piece)
        with self._lock:
            while self._waiting:
                piece = entry.encode(self._pen.id, self._waiting[0].entries)
                room -= len(piece)
                if room < 0:
                    break
                pieces.append(piece)
                others.append(self._waiting.popleft())
        return b"".join(pieces)

    def _pass_on(self, others: list[_Waiting], failure: SpoolError | None) -> None:
        """Have the next thread write, and those go on whose entries were written."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().released.release()
            else:
                self._busy = False
        for one in others:
            one.failure = failure
            one.over = True
            one.released.release()
