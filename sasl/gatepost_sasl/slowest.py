"""How long imported password hashes take to check here, known to all workers.

A refusal is answered at a fixed time. If the check of an imported hash takes longer than that, the time of
an answer tells who has such a hash. So every refusal waits one and a half times the longest check: of the
store's hashes at the start, and of each login since. A check that nothing has confirmed for an hour (the
host was busy, the hash is gone) is forgotten; the one of the start is not.
"""

from __future__ import annotations

import mmap
import struct
import time
from collections.abc import Callable
from typing import Final

_STATE = struct.Struct("<dd")  # seconds, and when that was
_FORGET = 3600.0
# Above the longest check, since some take longer than others; and Postfix waits for 10 seconds in all.
_MARGIN: Final = 1.5
_MOST: Final = 4.0


class Slowest:
    """Made before the fork, with the seconds that the store's own hashes take (0: it has none)."""

    def __init__(self, expected: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._expected = expected
        self._clock = clock
        self._shared = mmap.mmap(-1, _STATE.size)

    def took(self, seconds: float) -> None:
        """Note a check. Two workers at once may lose one of them; the next login brings it back."""
        longest, at = _STATE.unpack_from(self._shared)
        now = self._clock()
        if seconds >= longest or at + _FORGET <= now:
            _STATE.pack_into(self._shared, 0, seconds, now)

    def delay(self, usual: float) -> float:
        """Return the seconds after which a refusal may be answered, ``usual`` at the least."""
        longest: float
        longest, at = _STATE.unpack_from(self._shared)
        if longest and at + _FORGET <= self._clock():
            longest = 0.0
        return max(usual, min(_MOST, _MARGIN * max(longest, self._expected)))
