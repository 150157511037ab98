"""Whose turn it is where checks take their time: no more at once than there are attempts left.

A login waits, in its thread, while those of the same user or network that are under way may use up the
attempts that are left; good ones give them back. Other workers' are seen by looking again. How it fails: no
turn for long is BackendUnavailable (454), never a refusal.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from gatepost_core.domain.logins.guessing import Attempt, Guard, Scope
from gatepost_sasl.authenticator import BackendUnavailable

# Postfix waits for 10 seconds in all, and the check itself is to come.
WAIT_SECONDS: Final = 5.0
_LOOK_SECONDS = 0.05


class Turns:
    """For many threads. ``clock`` gives monotonic seconds."""

    def __init__(self, guard: Guard, clock: Callable[[], float] = time.monotonic) -> None:
        self._guard = guard
        self._clock = clock
        self._ended = threading.Condition()

    @contextmanager
    def turn(self, attempt: Attempt) -> Iterator[Scope]:
        """Wait for a turn; give who is locked out meanwhile, empty when the check may begin.

        Raises BackendUnavailable. The turn ends with the block; what has failed is counted within it.
        """
        locked = self._wait(attempt)
        try:
            yield locked
        finally:
            if not locked:
                self._guard.leave(attempt)
                with self._ended:
                    self._ended.notify_all()

    def _wait(self, attempt: Attempt) -> Scope:
        until = self._clock() + WAIT_SECONDS
        while True:
            now = self._clock()
            entry = self._guard.enter(attempt, now)
            if entry == "begun":
                return ""
            if entry != "wait":
                return entry
            if now >= until:
                raise BackendUnavailable("too many logins of this user or network are being checked at once")
            with self._ended:
                self._ended.wait(_LOOK_SECONDS)
