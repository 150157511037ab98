"""The threads that work on messages, and the ticket on which a libmilter callback waits for one.

A few long-lived threads of Python's own take jobs from a queue. concurrent.futures would serve, at
several times the cost: a message is handed over twice, and waking a thread is most of what that takes.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")
# Threads that may be added while others wait: each of them is there for a session of Postfix's.
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

    def wait(self, seconds: float) -> T:
        """Return the result, or raise its error. Raises TimeoutError after ``seconds``."""
        if not self._filled.acquire(timeout=seconds):
            raise TimeoutError(f"no result within {seconds:g} s")
        if self._error is not None:
            raise self._error
        return self._value


class Crew:
    """``size`` threads that run jobs in the order in which they were put. Use as a context manager."""

    def __init__(self, size: int) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._run, name=f"crew-{n}") for n in range(size)]
        self._size = size
        self._lock = threading.Lock()
        self._ending = False
        self._began: dict[int, float] = {}

    def put(self, job: Callable[[], None]) -> None:
        """Have ``job`` run soon. It must not raise: nobody would hear of it."""
        self._jobs.put(job)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Have another thread take the place of this one, which waits for something that is not Python's.

        Afterwards there is one too many; the first that has nothing else to do ends.
        """
        added = self._stand_in()
        try:
            yield
        finally:
            if added:
                self._jobs.put(None)

    def _stand_in(self) -> bool:
        with self._lock:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            if self._ending or len(self._threads) >= self._size + STAND_INS_MOST:
                return False
            thread = threading.Thread(target=self._run, name="crew-stand-in")
            self._threads.append(thread)
            thread.start()
        return True

    def __enter__(self) -> Crew:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._ending = True
            threads = self._threads
        for _ in threads:
            self._jobs.put(None)
        for thread in threads:
            thread.join()

    def stuck_for(self, seconds: float) -> bool:
        """Say whether each thread has been at one and the same job for so long."""
        latest = time.monotonic() - seconds
        living = sum(thread.is_alive() for thread in self._threads)
        stuck = sum(began <= latest for began in list(self._began.values()))
        return 0 < living <= stuck

    def _run(self) -> None:
        own = threading.get_ident()
        while (job := self._jobs.get()) is not None:
            self._began[own] = time.monotonic()
            job()
            del self._began[own]
            del job  # it holds a message, which may be large, and the next one may be long in coming
