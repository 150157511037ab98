"""Threads for calls that block, with a deadline: whoever waits is answered in time, whatever happens.

A call that outlives its deadline is left behind in its thread, which is of use again once the call
returns. When all threads are stuck so, further calls are told at once. One key (a user name) gets only
so many threads, so that a module that hangs on one user does not hang all others.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as WaitTimeout
from typing import Any, TypeVar

from gatepost_sasl.authenticator import BackendUnavailable

_T = TypeVar("_T")
_STACK = 1024 * 1024  # modules of PAM count on more than the line server's threads have


class NotAsked(BackendUnavailable):
    """There was no thread to ask with, for this key or at all: tells nothing of the back end itself."""


def _ignore(stuck: int) -> None:
    del stuck


class DeadlinePool:
    """A fixed number of threads, started at once, of which a key gets ``each`` at most.

    ``on_stuck`` is told +1 when a call is left behind, -1 when it returns after all; ``at_end`` is called
    by each thread that ends.
    """

    def __init__(
        self,
        name: str,
        threads: int,
        each: int,
        on_stuck: Callable[[int], object] = _ignore,
        at_end: Callable[[], object] = lambda: None,
    ) -> None:
        self._name = name
        self._threads = threads
        self._each = each
        self._on_stuck = on_stuck
        self._at_end = at_end
        self._queue: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._stuck: Counter[str] = Counter()
        self._held: Counter[str] = Counter()
        self._full_since: float | None = None
        before = threading.stack_size(_STACK)
        self._crew = [
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._crew:
            thread.start()
        threading.stack_size(before)

    @property
    def stuck(self) -> int:
        """How many calls have outlived their deadline and not returned."""
        return self._stuck.total()

    def stuck_for(self, seconds: float) -> str:
        """Say that all threads have been stuck for so long; empty when they have not."""
        since = self._full_since
        if since is None or time.monotonic() < since + seconds:
            return ""
        return f"{self._name}: all {self._threads} threads have been stuck for {seconds:g} s"

    def run(
        self, call: Callable[[], _T], seconds: float, key: str, abandon: Callable[[], object] = lambda: None
    ) -> _T:
        """Return what the call returns, or raise what it raises.

        Raises BackendUnavailable when it takes longer than ``seconds``, waiting for a thread included;
        ``abandon`` is called then and may help it to end.
        """
        future: Future[_T] = Future()
        until = time.monotonic() + seconds
        self._enter(key, until)
        future.add_done_callback(lambda _: self._leave(key))
        self._queue.put((future, call))
        try:
            return future.result(max(0.0, until - time.monotonic()))
        except WaitTimeout:
            if future.cancel():
                raise self._none_free() from None
            if future.done():
                return future.result()
        self._count(key, 1)
        future.add_done_callback(lambda _: self._count(key, -1))
        abandon()
        raise BackendUnavailable(f"{self._name}: no answer in {seconds:g} s")

    def close(self, seconds: float = 5.0) -> None:
        """End the threads; one that is stuck is left to the end of the process."""
        for _ in self._crew:
            self._queue.put(None)
        until = time.monotonic() + seconds
        for thread in self._crew:
            thread.join(max(0.0, until - time.monotonic()))

    def _enter(self, key: str, until: float) -> None:
        with self._changed:
            while True:
                if self._stuck.total() >= self._threads:
                    raise NotAsked(f"{self._name}: all {self._threads} threads are stuck")
                if self._stuck[key] >= self._each:
                    raise NotAsked(f"{self._name}: earlier logins of this user are stuck")
                if self._held[key] < self._each:
                    break
                if not self._changed.wait(max(0.0, until - time.monotonic())):
                    raise self._none_free()
            self._held[key] += 1

    def _none_free(self) -> NotAsked:
        return NotAsked(f"{self._name}: no thread was free in time")

    def _leave(self, key: str) -> None:
        with self._changed:
            self._held[key] -= 1
            if not self._held[key]:
                del self._held[key]
            self._changed.notify_all()

    def _count(self, key: str, change: int) -> None:
        with self._changed:
            self._stuck[key] += change
            if not self._stuck[key]:
                del self._stuck[key]
            full = self._stuck.total() >= self._threads
            self._full_since = time.monotonic() if full else None
            self._changed.notify_all()
        self._on_stuck(change)

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            future, call = job
            if future.set_running_or_notify_cancel():
                try:
                    result = call()
                except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits
                    future.set_exception(error)
                else:
                    future.set_result(result)
                    del result
            del job, future, call  # nothing of a login stays in an idle thread
        self._at_end()
