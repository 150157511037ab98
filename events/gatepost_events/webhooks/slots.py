"""Who may send how much at once, so that no endpoint that hangs delays another one. Pure.

An endpoint has a few requests under way at the most; one whose last attempt failed, or that had none yet, has
one, and all of those have half of all requests between them: the others always find room. In turn: whoever
was served longest ago is next.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum


class Standing(Enum):
    """How an endpoint fares: well, or it fails, or nobody knows yet."""

    WELL = "well"
    DOUBTFUL = "doubtful"


class Slots:
    """For one thread. ``most`` requests at once, ``of_one`` of one endpoint."""

    def __init__(self, most: int, of_one: int) -> None:
        self._most = most
        self._of_one = of_one
        # Of each endpoint, what is under way: how many count as doubtful, and how many in all.
        self._doubtful: dict[str, int] = {}
        self._all: dict[str, int] = {}
        self._served: dict[str, int] = {}
        self._turn = 0

    @property
    def under_way(self) -> int:
        """How many requests are under way."""
        return sum(self._all.values())

    def in_turn(self, endpoints: Iterable[str]) -> list[str]:
        """Return endpoints, those first that were served longest ago."""
        return sorted(endpoints, key=lambda one: (self._served.get(one, 0), one))

    def free(self, endpoint: str, standing: Standing) -> int:
        """Return how many requests more an endpoint may have under way."""
        most = self._of_one if standing is Standing.WELL else 1
        left = min(most - self._all.get(endpoint, 0), self._most - self.under_way)
        if standing is not Standing.WELL:
            left = min(left, max(1, self._most // 2) - sum(self._doubtful.values()))
        return max(0, left)

    def take(self, endpoint: str, standing: Standing, number: int) -> None:
        """Note requests that begin."""
        if not number:
            return
        self._turn += 1
        self._served[endpoint] = self._turn
        self._all[endpoint] = self._all.get(endpoint, 0) + number
        if standing is not Standing.WELL:
            self._doubtful[endpoint] = self._doubtful.get(endpoint, 0) + number

    def done(self, endpoint: str) -> None:
        """Note a request that has ended."""
        left = self._all.pop(endpoint, 0) - 1
        if left > 0:
            self._all[endpoint] = left
        # The last to end are those that count as doubtful: rather too many than too few.
        doubtful = min(self._doubtful.pop(endpoint, 0), max(0, left))
        if doubtful:
            self._doubtful[endpoint] = doubtful

    def forget(self, endpoints: Iterable[str]) -> None:
        """Forget when endpoints that are no more were served."""
        for one in endpoints:
            self._served.pop(one, None)
