"""Lines of routine (what went well, at each request) are gathered for a twentieth of a second.

They are then made and written together, with the time at which they came: making one between two requests
costs several times as much. A line of another kind first writes those that wait, so a process' lines keep
their order; a process that is killed takes a twentieth of a second of routine along.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

from gatepost_core.serving.log.stderr import WHOLE, StandardError

_GATHER_SECONDS = 0.05
# Beyond this whoever has one more line writes them all.
_GATHER_MOST = 5_000

# What makes a line, and out of what.
Gathered: TypeAlias = tuple[Callable[..., bytes], tuple[Any, ...]]


class Gatherer:
    """Lines that wait to be written to ``out``."""

    def __init__(self, out: StandardError) -> None:
        self._out = out
        self._waiting: deque[Gathered] = deque()
        self._writing = threading.Lock()
        self._starting = threading.Lock()
        self._turns: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._due = False
        self._thread: threading.Thread | None = None
        self._parent = 0

    def begin(self) -> None:
        """Note the process that will fork others: it writes what it has itself, without a thread."""
        self._parent = os.getpid()

    def add(self, line: Gathered) -> None:
        """Have a line made and written soon."""
        self._waiting.append(line)
        if not self._due:  # two threads may both see it: then the writer has a turn too many
            self._due = True
            self._wake()
        elif len(self._waiting) > _GATHER_MOST:
            self.flush()

    def write(self, line: bytes) -> None:
        """Write one line, after those that wait."""
        self.flush()
        self._put(line)

    def flush(self) -> None:
        """Write all that wait, several with one call."""
        with self._writing:
            piece = b""
            for _ in range(len(self._waiting)):
                make, values = self._waiting.popleft()
                line = make(*values)
                if piece and len(piece) + len(line) > WHOLE:
                    self._put(piece)
                    piece = b""
                piece += line
            if piece:
                self._put(piece)

    def _put(self, lines: bytes) -> None:
        """Write lines; the thread tries again what was not taken."""
        if self._out.write(lines) or self._due:
            return
        if self._thread is not None or os.getpid() != self._parent:
            self._due = True
            self._wake()

    def _wake(self) -> None:
        with self._starting:
            if self._thread is None:  # not before it is needed: a thread does not live through a fork
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()
        self._turns.put(None)

    def _run(self) -> None:
        while True:
            self._turns.get()
            time.sleep(_GATHER_SECONDS)
            self._due = False
            self.flush()
            self._put(b"")
