"""The threads that work on messages, and the ticket on which a libmilter callback waits for one.

A few long-lived threads of Python's own take jobs as ``turns`` has it. concurrent.futures would serve, at
several times the cost: a message is handed over twice, and waking a thread is most of what that takes. Where
jobs take long, other threads stand in, so that whoever waits shares Python's lock with them, and does
not stand in line.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Generic, TypeVar

from gatepost_core.serving import log
from gatepost_milter.libmilter.turns import Job, Task, Turns

T = TypeVar("T")
# Threads that may be added while others wait or take long: each of them is there for a session of Postfix's.
STAND_INS_MOST = 64


class Ticket(Generic[T]):
    """A place for one result, filled once by one thread and awaited once by another."""

    __slots__ = ("_error", "_filled", "_value")

    def __init__(self) -> None:
        self._filled = threading.Lock()
        self._filled.acquire()
        self._value: T
        self._error: BaseException | None = None

    def fill(self, value: T) -> None:
        """Give the result."""
        self._value = value
        self._filled.release()

    def fail(self, error: BaseException) -> None:
        """Give an error for a result."""
        self._error = error
        self._filled.release()

    def within(self, seconds: float) -> bool:
        """Say whether the result is there, in ``seconds`` at the latest. Once it is: ``result``."""
        return self._filled.acquire(timeout=seconds)

    def result(self) -> T:
        """Return the result, or raise its error."""
        if self._error is not None:
            raise self._error
        return self._value

    def wait(self, seconds: float) -> T:
        """Return the result, or raise its error. Raises TimeoutError after ``seconds``."""
        if not self.within(seconds):
            raise TimeoutError(f"no result within {seconds:g} s")
        return self.result()


class _Place:
    """Where one thread waits for its next task; none at a wake is its end."""

    __slots__ = ("task", "wake")

    def __init__(self) -> None:
        self.wake = threading.Lock()
        self.wake.acquire()
        self.task: Task | None = None


class Crew:
    """``size`` threads that run jobs, those of different owners in turns. Use as a context manager."""

    def __init__(self, size: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = size
        self._clock = clock
        self._lock = threading.Lock()
        self._turns = Turns()
        self._idle: list[_Place] = []  # the last one's caches are the warmest
        self._threads = [self._thread() for _ in range(size)]
        self._living = size
        self._working = 0
        self._ending = False
        self._tasks: dict[int, Task] = {}

    def put(self, owner: Hashable, job: Job) -> Task:
        """Have ``job`` run when it is its owner's turn. Nobody hears of what it raises but the log."""
        now = self._clock()
        with self._lock:
            if self._idle and self._working < self._size:
                task = self._turns.at_once(owner, job, now)
                if task is not None:
                    self._hand_over(task)
                    return task
            task = self._turns.add(owner, job)
            self._begin_next(now)
        return task

    def relieve(self, task: Task) -> bool:
        """Have a job begin that has waited for a while, or one before it, if all it waits for takes long.

        Says whether it waits still: then whoever waits for it is to ask again.
        """
        now = self._clock()
        with self._lock:
            if task.waits:
                self._turns.another(task.owner, now)
                self._begin_next(now, beyond=self._turns.slow(now))
            return task.waits

    @contextmanager
    def away(self) -> Iterator[None]:
        """Have another job take the place of this one, which waits for something that is not Python's.

        Afterwards there may be one too many; the first thread that has nothing else to do ends.
        """
        task = self._tasks[threading.get_ident()]
        with self._lock:
            task.away = True
            self._working -= 1
            self._turns.over(task)
            self._begin_next(self._clock())
        try:
            yield
        finally:
            with self._lock:
                self._turns.again(task)
                self._working += 1
                task.away = False

    def stuck_for(self, seconds: float) -> bool:
        """Say whether as many threads as the crew has, and all that stand in, are at one job for so long.

        The more there are, the longer each takes.
        """
        now = self._clock()
        began = [task.began for task in list(self._tasks.values()) if not task.away]
        return len(began) >= self._size and now - max(began) >= seconds * len(began) / self._size

    def __enter__(self) -> Crew:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until all that was put is done, and all threads have ended."""
        with self._lock:
            self._ending = True
            while self._idle:
                self._idle.pop().wake.release()
        for thread in self._threads:
            thread.join()

    def _begin_next(self, now: float, *, beyond: bool = False) -> None:
        """Have the job whose turn it is begin, if there is one and a thread for it. With the lock held.

        ``beyond``: also when as many are worked on as the crew has threads.
        """
        if not (beyond or self._working < self._size) or not self._turns.ready():
            return
        # The thread first: without one the job keeps its turn.
        if (self._idle or self._add_thread()) and (task := self._turns.take(now)) is not None:
            self._hand_over(task)

    def _hand_over(self, task: Task) -> None:
        self._working += 1
        place = self._idle.pop()
        place.task = task
        place.wake.release()

    def _add_thread(self) -> bool:
        """Have another thread stand in, and say whether it does."""
        if self._ending or self._living >= self._size + STAND_INS_MOST:
            return False
        added = self._thread()
        try:
            added.start()
        except RuntimeError:  # the system gives no more (systemd's TasksMax): who waits asks again
            self._idle.pop()
            return False
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._threads.append(added)
        self._living += 1
        return True

    def _thread(self) -> threading.Thread:
        """Return a thread that is to be started; it has a place already."""
        place = _Place()
        self._idle.append(place)
        # Said outright: whether it is one would be asked of the calling thread, which may be libmilter's.
        return threading.Thread(target=self._run, args=(place,), name="crew", daemon=False)

    def _run(self, place: _Place) -> None:
        own = threading.get_ident()
        while True:
            place.wake.acquire()
            task, place.task = place.task, None
            if task is None:
                return
            while task is not None:
                self._tasks[own] = task
                _carry_out(task)
                del self._tasks[own]
                task = self._next(place, task)

    def _next(self, place: _Place, done: Task) -> Task | None:
        """Return what this thread does next; if that is nothing, its place hears of it, or of its end."""
        with self._lock:
            self._turns.end(done)
            self._working -= 1
            task = self._turns.take(self._clock()) if self._working < self._size else None
            if task is not None:
                self._working += 1
            elif self._ending or self._living > self._size:
                self._living -= 1
                place.wake.release()
            else:
                self._idle.append(place)
        return task


def _carry_out(task: Task) -> None:
    """Run a job, and let go of it: it holds a message, which may be large, and somebody may hold the task."""
    job, task.job = task.job, None
    try:
        if job is not None:
            job()
    except BaseException as error:  # noqa: BLE001 - the next ones have done nothing
        log.error("internal error", exc_info=error)
