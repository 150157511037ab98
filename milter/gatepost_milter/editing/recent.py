"""A few values that were used lately, for many threads without a lock.

Each step on the dictionary is atomic. Between two of them another thread may miss a value that is
being moved to the end; it computes the value again, which is all that a miss ever costs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Holds at most ``most`` values, those used last; together they weigh at most ``weight_most``."""

    def __init__(self, most: int, *, weigh: Callable[[V], int] = lambda _: 0, weight_most: int = 0) -> None:
        self._most = most
        self._weigh = weigh
        self._weight_most = weight_most
        self._known: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """Return a value, which counts as its use, or None."""
        value = self._known.pop(key, None)
        if value is not None:
            self._known[key] = value
        return value

    def put(self, key: K, value: V) -> None:
        """Keep a value; the one that was not used for longest goes."""
        self._known[key] = value
        while len(self._known) > self._most or self._too_heavy():
            # Another thread may take the same one out.
            with suppress(KeyError, RuntimeError, StopIteration):
                del self._known[next(iter(self._known))]

    def _too_heavy(self) -> bool:
        return (
            self._weight_most > 0 and sum(map(self._weigh, tuple(self._known.values()))) > self._weight_most
        )

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()

    def __len__(self) -> int:
        """Return how many values are held."""
        return len(self._known)
