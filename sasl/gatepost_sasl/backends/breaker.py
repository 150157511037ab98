"""A circuit breaker: a back end that fails again and again is left alone for a while.

| state | event | next |
|---|---|---|
| closed | a fault, fewer than N in a row | closed |
| closed | the N-th fault in a row | open |
| open | asked before the time is over | open: refused at once |
| open | asked after it | half open: this one call tries |
| half open | asked by others | half open: refused at once |
| half open | the try has an answer, whatever it is | closed |
| half open | the try faults | open, for the time again |

Only faults count: a wrong password is an answer, and a login for which no thread was free says nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from gatepost_sasl.authenticator import BackendUnavailable
from gatepost_sasl.backends.pool import NotAsked

_T = TypeVar("_T")


class Breaker:
    """Guards calls to one back end. ``faults`` 0 never opens it; ``clock`` gives monotonic seconds."""

    def __init__(self, name: str, faults: int, seconds: float, clock: Callable[[], float]) -> None:
        self._name = name
        self._most = faults
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._faults = 0
        self._open_until: float | None = None
        self._trying = False

    def call(self, function: Callable[[], _T]) -> _T:
        """Return what the function returns. Raises BackendUnavailable, its own or at once when open."""
        trial = self._enter()
        try:
            result = function()
        except NotAsked:
            self._end_trial(trial)
            raise
        except BaseException:
            self._faulted(trial)
            raise
        self._answered(trial)
        return result

    def _enter(self) -> bool:
        """Say whether this call is the try of a half-open breaker. Raises BackendUnavailable."""
        with self._lock:
            if self._open_until is None:
                return False
            left = self._open_until - self._clock()
            if left > 0 or self._trying:
                raise BackendUnavailable(
                    f"{self._name}: not asked after {self._faults} faults in a row; "
                    + ("being tried again now" if self._trying else f"tried again in {left:.1f} s")
                )
            self._trying = True
            return True

    def _answered(self, trial: bool) -> None:
        with self._lock:
            self._trying = self._trying and not trial
            if trial or self._open_until is None:  # not for an answer to what was asked before it opened
                self._faults = 0
                self._open_until = None

    def _faulted(self, trial: bool) -> None:
        with self._lock:
            self._trying = self._trying and not trial
            self._faults += 1
            if self._most and (trial or self._faults == self._most):
                self._open_until = self._clock() + self._seconds

    def _end_trial(self, trial: bool) -> None:
        with self._lock:
            self._trying = self._trying and not trial
