"""How many bytes of messages a worker holds: bounded, with shares, so that large messages shut nobody out.

A message's first 64 KiB are free (the number of sessions bounds them). What goes beyond is taken in blocks
out of the worker's share of ``milter.bytes_in_flight``: a quarter of it is kept for messages of up to 1 MiB,
and one credential gets half at the most, or one message. A message that gets no more is forgotten, and gets
451 at its end. What was taken is given back when the message is answered or given up. For many threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from gatepost_milter.transaction import Transaction

BLOCK = 256 * 1024
MEDIUM = 1024 * 1024


def share(total: int, workers: int, largest: int) -> int:
    """Return one worker's bytes: its part of the total, but room for the largest message, beside others."""
    return max(total // workers, 2 * largest)


class Holdings:
    """The bytes of one worker. ``observe`` hears of each change, in bytes."""

    def __init__(self, limit: int, observe: Callable[[int], None] = lambda _: None) -> None:
        self._limit = limit
        self._observe = observe
        self._lock = threading.Lock()
        self._total = 0
        self._by_owner: dict[str, int] = {}

    @property
    def total(self) -> int:
        """How many bytes are taken."""
        return self._total

    def more(self, transaction: Transaction) -> bool:
        """Get a message room for what it lacks; if there is none, it is forgotten and will get 451."""
        if transaction.crowded:
            return False
        wanted = max(BLOCK, -transaction.room)
        with self._lock:
            fits = self._fits(transaction, wanted)
            if fits:
                self._change(transaction, wanted)
        if fits:
            transaction.room += wanted
        else:
            transaction.crowd_out()
            self.give_back(transaction)
        return fits

    def give_back(self, transaction: Transaction | None) -> None:
        """Take back all that a message had; harmless when that was done before."""
        if transaction is not None and transaction.held:
            with self._lock:
                self._change(transaction, -transaction.held)

    def _fits(self, transaction: Transaction, wanted: int) -> bool:
        size = transaction.held + wanted
        own = self._by_owner.get(transaction.username, 0)
        alone = own == transaction.held
        most = self._limit if size <= MEDIUM else self._limit - self._limit // 4
        return self._total + wanted <= most and (alone or own + wanted <= self._limit // 2)

    def _change(self, transaction: Transaction, by: int) -> None:
        transaction.held += by
        self._total += by
        own = self._by_owner.get(transaction.username, 0) + by
        if own:
            self._by_owner[transaction.username] = own
        else:
            self._by_owner.pop(transaction.username, None)
        self._observe(by)
