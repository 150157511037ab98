"""How often somebody may ask: so many requests a minute, in bursts if he likes (a token bucket). Sans-I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

_KNOWN_MOST: Final = 20_000
_MINUTE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Rate:
    """What is told with an answer: ``limit`` a minute, ``remaining`` now, ``reset`` seconds to a full one.

    ``retry``: seconds to wait, 0 where the request may pass.
    """

    limit: int
    remaining: int
    reset: int
    retry: int = 0

    def headers(self) -> dict[str, str]:
        """Return it as header fields."""
        told = {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
        }
        return {**told, "Retry-After": str(self.retry)} if self.retry else told


class Rates:
    """Counts by a key; for one thread. Who has not asked for a minute takes no memory for long."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._left: dict[str, tuple[float, float]] = {}  # what is left, and when that was

    def take(self, key: str, now: float) -> Rate:
        """Count a request, ``now`` in seconds of a clock that never goes back."""
        left, at = self._left.pop(key, (float(self._limit), now))
        each = _MINUTE / self._limit
        left = min(self._limit, left + (now - at) / each)
        passed = left >= 1.0
        left -= passed
        self._left[key] = (left, now)  # the last that asked is the last in it
        while len(self._left) > _KNOWN_MOST:
            del self._left[next(iter(self._left))]
        reset = math.ceil((self._limit - left) * each)
        return Rate(self._limit, int(left), reset, 0 if passed else max(1, math.ceil((1.0 - left) * each)))
