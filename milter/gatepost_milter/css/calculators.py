"""A few calculator processes of a milter worker, and who waits for them.

They start when first needed, end when they have had nothing to do for a while, and end with the worker: their
input closes. Whoever waits for one does so in ``away``, so that another thread takes care of other people's
mail meanwhile; the shorter a calculation, the sooner its turn, so that long ones hold up only each other. One
that takes too long, crashes or cannot start is ``CalculatorError``: its message passes with its styles in the
block.
"""

from __future__ import annotations

import heapq
import itertools
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from types import TracebackType

from gatepost_milter.css.calculator import ANSWER, FAILED, REQUEST, CalculatorError, compute
from gatepost_milter.css.weight import AT_ONCE_MOST

COMMAND = (sys.executable, "-I", "-m", "gatepost_milter.css.calculator")
PROCESSES_MOST = 2
# It has its turn within this time, and its answer within that: a calculation takes a tenth of a second at
# most, on a machine that does nothing else. Both together are below what clients and Postfix wait for.
TURN_SECONDS = 10.0
ANSWER_SECONDS = 10.0
IDLE_SECONDS = 60.0


class Process:
    """One calculator process. For one thread at a time."""

    def __init__(self, command: tuple[str, ...]) -> None:
        """Start it. Raises OSError."""
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
        )
        self.pid = self._child.pid
        self.rested = time.monotonic()  # since when it has nothing to do
        for pipe in (self._child.stdin, self._child.stdout):
            assert pipe is not None  # noqa: S101  # asked for above
            os.set_blocking(pipe.fileno(), False)

    def ask(self, html: str, css: str, seconds: float) -> str:
        """Return the answer. Raises CalculatorError; LostError if the process is gone with it."""
        deadline = time.monotonic() + seconds
        document, sheet = html.encode(), css.encode()
        try:
            self._write(REQUEST.pack(len(document), len(sheet)) + document + sheet, deadline)
            (size,) = ANSWER.unpack(self._read(ANSWER.size, deadline))
            failed = size & FAILED
            answer = self._read(size & ~FAILED, deadline).decode()
        except (OSError, EOFError, UnicodeDecodeError) as error:
            self.end()
            raise LostError("the calculator ended") from error
        except LostError:
            self.end()
            raise
        self.rested = time.monotonic()
        if failed:
            raise CalculatorError(answer)
        return answer

    def lives(self) -> bool:
        """Say whether it has not ended by itself, or by others' hand, while it rested."""
        if self._child.poll() is None:
            return True
        self.end()
        return False

    def end(self) -> None:
        """Kill it and wait for its end, which comes at once."""
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _write(self, data: bytes, deadline: float) -> None:
        assert self._child.stdin is not None  # noqa: S101
        descriptor = self._child.stdin.fileno()
        view = memoryview(data)
        while view:
            _wait(descriptor, select.POLLOUT, deadline)
            view = view[os.write(descriptor, view[:65536]) :]

    def _read(self, size: int, deadline: float) -> bytes:
        assert self._child.stdout is not None  # noqa: S101
        descriptor = self._child.stdout.fileno()
        pieces: list[bytes] = []
        while size:
            _wait(descriptor, select.POLLIN, deadline)
            piece = os.read(descriptor, min(size, 1 << 20))
            if not piece:
                raise EOFError
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


class LostError(CalculatorError):
    """The process is gone, or was killed."""


def _wait(descriptor: int, event: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    left = deadline - time.monotonic()
    if left <= 0 or not poll.poll(left * 1000):
        raise LostError("the calculator took too long")


@dataclass(slots=True)
class _Turn:
    """A place in the queue; ``process`` is there once ``come`` is set, or None: start one."""

    come: threading.Event
    process: Process | None = None
    given_up: bool = False


class Calculators:
    """The processes of one worker. ``away``: what a thread does around its waiting. For many threads."""

    def __init__(
        self,
        away: Callable[[], AbstractContextManager[None]] = nullcontext,
        *,
        processes: int = PROCESSES_MOST,
        command: tuple[str, ...] = COMMAND,
        at_once: int = AT_ONCE_MOST,
    ) -> None:
        self._away = away
        self._command = command
        self._at_once = at_once
        self._lock = threading.Lock()
        self._free = processes
        self._resting: list[Process] = []
        self._queue: list[tuple[int, int, _Turn]] = []
        self._order = itertools.count()
        self._closed = False
        self._timer: threading.Timer | None = None

    def __call__(self, html: str, css: str, steps: int) -> str:
        """Return css_inline's version of a copy, which takes ``steps`` at most. Raises CalculatorError."""
        if steps <= self._at_once:
            return compute(html, css)
        with self._away():
            process = self._take(steps)
            try:
                if process is None or not process.lives():
                    process = Process(self._command)
                return process.ask(html, css, ANSWER_SECONDS)
            except OSError as error:
                raise CalculatorError(f"the calculator cannot be started: {error}") from error
            except LostError:
                process = None
                raise
            finally:
                self._give(process)

    def __enter__(self) -> Calculators:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def processes(self) -> list[int]:
        """Return the process ids of those that rest."""
        with self._lock:
            return [process.pid for process in self._resting]

    def close(self) -> None:
        """End those that rest, and all others once they have answered."""
        with self._lock:
            self._closed = True
            resting, self._resting = self._resting, []
            if self._timer is not None:
                self._timer.cancel()
        for process in resting:
            process.end()

    def tidy(self, now: float) -> None:
        """End those that have rested for long at ``now`` (of the monotonic clock)."""
        with self._lock:
            tired = [process for process in self._resting if now - process.rested >= IDLE_SECONDS]
            self._resting = [process for process in self._resting if process not in tired]
            self._timer = None
            self._watch()
        for process in tired:
            process.end()

    def _watch(self) -> None:
        """See to it that somebody looks after those that rest. With the lock held."""
        if self._resting and self._timer is None and not self._closed:
            self._timer = threading.Timer(IDLE_SECONDS, lambda: self.tidy(time.monotonic()))
            self._timer.daemon = True
            self._timer.start()

    def _take(self, steps: int) -> Process | None:
        """Return a process, or None: one may be started. Raises CalculatorError when no turn comes."""
        turn = _Turn(threading.Event())
        with self._lock:
            if self._free:
                self._free -= 1
                return self._resting.pop() if self._resting else None
            heapq.heappush(self._queue, (steps, next(self._order), turn))
        if not turn.come.wait(TURN_SECONDS):
            with self._lock:
                if not turn.come.is_set():
                    turn.given_up = True
                    raise CalculatorError("no calculator was free in time")
        return turn.process

    def _give(self, process: Process | None) -> None:
        """Give a place back, with its process if it is still of use."""
        idle: list[Process] = []
        with self._lock:
            while self._queue:
                turn = heapq.heappop(self._queue)[2]
                if not turn.given_up:
                    turn.process = process
                    turn.come.set()
                    return
            self._free += 1
            if process is not None:
                self._resting.append(process)
            if self._closed:
                idle, self._resting = self._resting, []
            self._watch()
        for each in idle:
            each.end()
