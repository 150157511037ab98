"""Counters of limits in an SQLite file of its own: see ``domain.limits.counters``, whose protocol it is.

A file of its own because every message writes to it, and ``synchronous = NORMAL`` because what a power cut
takes back is a few of the last messages. One transaction takes from all windows of a message or from none. A
file that is damaged is set aside, and whoever comes next counts anew from the journal (``recounting``): each
counter that reaches back to before the file was made is filled when it is first wanted.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from gatepost_core.domain import ids
from gatepost_core.domain.limits import Bucket, Reset, Want
from gatepost_core.domain.memo import Recent
from gatepost_core.store.sqlite.counts import counterfile, counting
from gatepost_core.store.sqlite.counts.opened import Mended, Opened
from gatepost_core.store.sqlite.counts.recounting import Recounting

# A message's take is known for so long.
TAKES_SECONDS: Final = 2 * 86_400
# Returns the buckets of a counter as the journal has them.
Recount = Callable[[Want], list[Bucket]]


class SqliteLooking(Opened):
    """Reads the counters, without a right to change them. For many threads."""

    def look(self, wants: Sequence[Want]) -> list[list[Bucket]]:
        """Return of each counter its buckets that count, oldest first. Raises StoreUnavailable."""
        return self._doing(counting.buckets, wants)[0] if wants else []


class SqliteCounters(Mended):
    """Counts. ``recount`` reads the journal, ``damaged`` hears where a file that was damaged has gone."""

    def __init__(
        self,
        file: Path,
        recount: Recount,
        *,
        damaged: Callable[[str], object] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(file, counterfile.FORMAT, damaged=damaged, clock=clock)
        self._recount = recount
        self._made_at = 0
        self._filled: Recent[tuple[str, int], bool] = Recent(5_000)

    def look(self, wants: Sequence[Want]) -> list[list[Bucket]]:
        """Return of each counter its buckets that count. Raises StoreUnavailable."""
        return self._mending(self._look, wants) if wants else []

    def take(self, message_id: str, wants: Sequence[Want]) -> list[int] | None:
        """Take all or nothing. Raises StoreUnavailable."""
        return self._mending(self._take, ids.to_bytes(message_id), wants) if wants else []

    def give_back(self, message_id: str) -> bool:
        """Undo a take. Raises StoreUnavailable."""
        return self._mending(counting.give_back, ids.to_bytes(message_id))

    def reset(self, key: str, by: str) -> int:
        """Set counters to 0. Raises StoreUnavailable."""
        return self._mending(counting.reset, key, by, int(self._clock()))

    def resets(self, key: str) -> list[Reset]:
        """Return who did so. Raises StoreUnavailable."""
        return self._mending(counting.resets, key)

    def keep(self) -> None:
        """Have the file open, made if there is none, and forget what is over. Raises StoreUnavailable."""
        now = int(self._clock())
        self._mending(counting.sweep, now, ids.to_bytes(ids.new((now - TAKES_SECONDS) * 1000)))

    def _look(self, connection: sqlite3.Connection, wants: Sequence[Want]) -> list[list[Bucket]]:
        self._fill(connection, wants)
        return counting.buckets(connection, wants)

    def _take(self, connection: sqlite3.Connection, number: bytes, wants: Sequence[Want]) -> list[int] | None:
        self._fill(connection, wants)
        return counting.take(connection, number, wants)

    def _fill(self, connection: sqlite3.Connection, wants: Sequence[Want]) -> None:
        """Have what the journal knows in counters that reach back to before the file was made."""
        for want in wants:
            if want.first >= self._made_at:
                continue
            known = want.key, want.start if want.first == want.start else 0
            if not self._filled.get(known):
                if not counting.buckets(connection, [want])[0]:
                    counting.fill(connection, want, self._recount(want) or [Bucket(want.start, 0)])
                self._filled.put(known, True)

    def _made(self, connection: sqlite3.Connection) -> None:
        counting.make(connection, int(self._clock()))

    def _ready(self, connection: sqlite3.Connection) -> None:
        self._made_at = counting.made_at(connection)
        self._filled.clear()


def open_counters(
    file: Path, journal: str, *, damaged: Callable[[str], object] = lambda _: None
) -> SqliteCounters:
    """Return what counts in a file. ``journal``: the database's URL. Nothing is opened before it is used."""
    return SqliteCounters(file, Recounting(journal), damaged=damaged)
