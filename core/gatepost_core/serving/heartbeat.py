"""Signs of life: when each worker last showed that it serves, in memory that the parent reads.

A worker that lives may serve nobody: stopped, in a loop, waiting for a disk or for Python's lock. So what its
work loop does with each turn, and no thread beside it, notes the time here; a worker that has not for longer
than ``seconds`` is replaced. A parent that was held up itself (a machine that stood still) gives all workers
their time anew.
"""

from __future__ import annotations

import mmap
import struct
import time
from collections.abc import Callable

_TIME = struct.Struct("<d")
# Looks, and signs, in the time after which one is missed.
_EACH = 4


def _nobody(slot: int) -> bool:
    del slot
    return False


class Heartbeats:
    """One time a worker (slot). Made before the fork. ``seconds`` 0: nobody is missed."""

    def __init__(self, slots: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._times = mmap.mmap(-1, slots * _TIME.size)
        self._looked = clock()
        self._since = self._looked

    @property
    def every(self) -> float | None:
        """How often to give a sign, and to look for them; None: never."""
        return self._seconds / _EACH if self._seconds else None

    def beat(self, slot: int) -> None:
        """Give a sign of life."""
        _TIME.pack_into(self._times, slot * _TIME.size, self._clock())

    def look(self) -> Callable[[int], bool]:
        """Look now; return what says whether a slot's worker is to be missed."""
        if not self._seconds:
            return _nobody
        now = self._clock()
        if now - self._looked > self._seconds / 2:
            self._since = now
        self._looked = now

        def missed(slot: int) -> bool:
            (latest,) = _TIME.unpack_from(self._times, slot * _TIME.size)
            return bool(max(latest, self._since) + self._seconds <= now)

        return missed
