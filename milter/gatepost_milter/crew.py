"""The threads that work on messages, and the ticket on which a libmilter callback waits for one.

A few long-lived threads of Python's own take jobs from a queue. concurrent.futures would serve, at
several times the cost: a message is handed over twice, and waking a thread is most of what that takes.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


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

    def put(self, job: Callable[[], None]) -> None:
        """Have ``job`` run soon. It must not raise: nobody would hear of it."""
        self._jobs.put(job)

    def __enter__(self) -> Crew:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            del job  # it holds a message, which may be large, and the next one may be long in coming
