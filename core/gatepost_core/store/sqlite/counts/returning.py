"""From the journal's events to what limits get back: messages that Postfix did not queue after all.

The mail log tells of them, as events of type ``refused``. A node's own are followed by their sequence; where
to begin is not kept, since giving back twice is like once: after a start, and in a journal that was restored,
all are looked at of as long as takes are known.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Final
from urllib.parse import quote

from gatepost_core.domain import ids
from gatepost_core.domain.limits import Counters
from gatepost_core.store.sqlite.counts.counters import TAKES_SECONDS
from gatepost_core.store.sqlite.driver import faults
from gatepost_core.store.sqlite.locate import database_file

_NEWEST: Final = (
    "SELECT e.node, max(e.sequence) FROM events AS e WHERE e.node = (SELECT id FROM nodes WHERE name = ?)"
)
_SINCE: Final = (
    "SELECT message_id FROM events WHERE node = ? AND sequence > ? AND sequence <= ? AND type = 'refused'"
)
_ALL: Final = (
    "SELECT message_id FROM events WHERE type = 'refused' AND id >= ? AND node = ? AND sequence <= ?"
)


class Returning:
    """For one thread. ``node``: the node's name; ``clock``: seconds since 1970."""

    def __init__(
        self, journal: str, node: str, counters: Counters, clock: Callable[[], float] = time.time
    ) -> None:
        self._url = journal
        self._name = node
        self._counters = counters
        self._clock = clock
        self._read: int | None = None

    def step(self) -> int:
        """Give back what is new; return of how many messages something was. Raises StoreUnavailable."""
        newest, messages = self._refused()
        given = sum([self._counters.give_back(number) for number in messages])
        self._read = newest
        return given

    def close(self) -> None:
        """Let go of the counters."""
        self._counters.close()

    def _refused(self) -> tuple[int | None, Sequence[str]]:
        """Return how far the events go, and the messages of those that are new."""
        url = f"file:{quote(str(database_file(self._url)))}?mode=ro"
        with faults(self._url), closing(sqlite3.connect(url, uri=True, timeout=5)) as connection:
            node, newest = connection.execute(_NEWEST, (self._name,)).fetchone()
            if newest is None:
                return None, ()
            read = self._read
            if read is not None and read <= newest:
                rows = connection.execute(_SINCE, (node, read, newest))
            else:
                oldest = ids.new(int(self._clock() - TAKES_SECONDS) * 1000)
                rows = connection.execute(_ALL, (oldest, node, newest))
            return newest, list(dict.fromkeys([number for (number,) in rows if number]))
