"""Counters of limits in an SQLite file of its own: see ``domain.limits.counters``, whose protocol it is.

A file of its own because every message writes to it, and ``synchronous = NORMAL`` because what a power cut
takes back is a few of the last messages. One transaction takes from all windows of a message or from none. A
file that is damaged is set aside, and whoever comes next counts anew from the journal (``recounting``): each
counter that reaches back to before the file was made is filled when it is first wanted.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gatepost_core.domain import ids
from gatepost_core.domain.errors import StoreUnavailable
from gatepost_core.domain.limits import Bucket, Reset, Want
from gatepost_core.domain.memo import Recent
from gatepost_core.store.sqlite.counts import counterfile, counting
from gatepost_core.store.sqlite.counts.opened import Mended, Opened
from gatepost_core.store.sqlite.counts.recounting import Recounting
from gatepost_core.store.sqlite.counts.taking import Counters, Take, Taking

# A message's take is known for so long.
TAKES_SECONDS: Final = 2 * 86_400
# Messages that take in one transaction.
_TOGETHER_MOST: Final = 50
_FULL_MOST: Final = 5_000
# Returns the buckets of a counter as the journal has them.
Recount = Callable[[Want], list[Bucket]]


class SqliteLooking(Opened):
    """Reads the counters, without a right to change them. For many threads."""

    def look(self, wants: Sequence[Want]) -> list[list[Bucket]]:
        """Return of each counter its buckets that count, oldest first. Raises StoreUnavailable."""
        return self._doing(counting.buckets, wants)[0] if wants else []


@dataclass(slots=True, eq=False)
class _Waiting:
    """What a thread waits for: ``before``, or ``fault``, once it is ``done``."""

    take: Take
    before: list[int] | None = None
    fault: BaseException | None = None
    done: bool = False


class SqliteCounters(Mended):
    """Counts. ``recount`` reads the journal, ``damaged`` hears where a file that was damaged has gone."""

    # Each message asks, and what was counted in a file that was set aside is of no use to anybody.
    _looks_first = False

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
        self._turn = threading.Lock()
        self._waiting: deque[_Waiting] = deque()
        self._taking = Taking()
        # Counters of which nothing is to be had from the journal any more; of sliding ones it is asked once.
        self._full: set[Counters] = set()
        self._filled: Recent[tuple[str, int], bool] = Recent(5_000)

    def look(self, wants: Sequence[Want]) -> list[list[Bucket]]:
        """Return of each counter its buckets that count. Raises StoreUnavailable."""
        return self._mending(self._look, wants) if wants else []

    def take(self, message_id: str, wants: Sequence[Want], quiet: Sequence[int] = ()) -> list[int] | None:
        """Take all or nothing. Raises StoreUnavailable."""
        if not wants:
            return []
        counters = tuple([want[:2] for want in wants])
        one = _Waiting(Take(ids.to_bytes(message_id), wants, quiet, counters))
        self._waiting.append(one)
        with self._turn:
            # Whoever has its turn takes for all that wait: a transaction costs more than what is in it.
            while not one.done:
                self._take_for_several()
        if one.fault is not None:
            raise one.fault
        return one.before

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

    def _take_for_several(self) -> None:
        several = [self._waiting.popleft() for _ in range(min(len(self._waiting), _TOGETHER_MOST))]
        fault: BaseException | None = None
        try:
            self._mending(self._take, several)
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            fault = error
        for one in several:
            one.fault, one.done = one.fault or fault, True

    def _take(self, connection: sqlite3.Connection, several: Sequence[_Waiting]) -> None:
        able = list[_Waiting]()
        for one in several:
            one.fault, (_, wants, _, counters) = None, one.take
            try:
                if counters not in self._full:
                    self._fill(connection, wants)
                    self._full.add(counters)
            except StoreUnavailable as error:  # of the journal, which not all need
                one.fault = error
            else:
                able.append(one)
        if len(self._full) > _FULL_MOST:
            self._full.clear()
        before = self._taking.take(connection, [one.take for one in able], self._clock()) if able else []
        for one, had in zip(able, before, strict=True):
            one.before = had

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
        self._full.clear()
        self._taking = Taking()


def open_counters(
    file: Path, journal: str, *, damaged: Callable[[str], object] = lambda _: None
) -> SqliteCounters:
    """Return what counts in a file. ``journal``: the database's URL. Nothing is opened before it is used."""
    return SqliteCounters(file, Recounting(journal), damaged=damaged)
