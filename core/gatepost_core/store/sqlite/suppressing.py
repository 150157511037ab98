"""From the journal's events to the directory's suppressions, exactly once, without SQLAlchemy.

Each node's events are followed by their sequence. What they suppress and how far they were read is one
transaction of the directory, so that a crash between the two cannot be. Each commit there empties the caches
of who reads it (``reader``): so nothing is committed while nothing is suppressed, but the position now and
then. What is read a second time, after a crash or of a restored journal, changes nothing
(``domain.suppressing.merged``).

A report about one of several recipients may come before our log is read that shows the delivery: it waits for
that, a few days at most.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from gatepost_core.domain import ids
from gatepost_core.domain.options import Options
from gatepost_core.domain.suppressing import UNSUBSCRIBED, Suppression, Terms, hashed, merged, suppressed_by
from gatepost_core.store import rows
from gatepost_core.store.ingest.intake import lookup_address
from gatepost_core.store.sqlite import suppressing_events
from gatepost_core.store.sqlite.driver import connect, faults, row_factory, time_in, time_out, transaction
from gatepost_core.store.sqlite.locate import file_identity
from gatepost_core.store.sqlite.opt_outs import OptOuts
from gatepost_core.store.sqlite.suppressing_events import Waiting

READER: Final = "suppression"
# A report waits so long for our log, as Postfix tries for days; beyond so many the oldest are forgotten.
WAITS: Final = timedelta(days=5)
_WAITING_MOST: Final = 10_000
# A position beyond which nothing was suppressed is kept so often: what lies behind it is read again at most.
KEEP_SECONDS: Final = 600.0

_COLUMNS = (
    "id", "account_id", "address", "credential", "tag", "reason", "since_at", "expires_at", "removed_at",
    "event_id", "message_id", "detail",
)  # fmt: skip
_LISTED = ", ".join(_COLUMNS)
_KNOWN = (
    f"SELECT {_LISTED} FROM suppressions "  # noqa: S608 - our own names
    "WHERE account_id = ? AND address IN (?, ?) AND credential = ? AND tag = ?"
)
# One that takes another's place is a new one in lists.
_PUT = f"INSERT OR REPLACE INTO suppressions ({_LISTED}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608
_WAIT = "INSERT OR IGNORE INTO waiting_reports (event_id, message_id, recipient, kept_at) VALUES (?, ?, ?, ?)"
_WAIT_NO_MORE = "DELETE FROM waiting_reports WHERE event_id = ?"
_WAITED = "DELETE FROM waiting_reports WHERE kept_at < ?"
_POSITION = (
    "INSERT INTO event_positions (reader, node, sequence) VALUES (?, ?, ?) ON CONFLICT (reader, node) "
    "DO UPDATE SET sequence = max(sequence, excluded.sequence)"
)
# An id of an account that was removed may be another's now, which that message was not.
_ACCOUNTS = "SELECT id, created_at FROM accounts WHERE id IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did: ``suppressed`` are new or renewed; ``more``: not all events were looked at."""

    suppressed: tuple[Suppression, ...]
    more: bool


class Suppressor:
    """Follows a journal. For one thread at a time; connects when it is needed.

    ``clock``: monotonic seconds; ``now``: the time in UTC. What it does raises StoreUnavailable; nothing is
    written then, and both databases are opened anew the next time.
    """

    def __init__(
        self,
        directory: str,
        journal: str,
        terms: Terms,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._urls = (directory, journal)
        self._terms = terms
        self._clock = clock
        self._now = now
        self._open: tuple[sqlite3.Connection, ...] = ()
        self._files: tuple[tuple[int, int], ...] = ()
        self._seen: dict[str, int] = {}
        self._kept: dict[str, int] = {}
        self._waits: dict[Waiting, str] = {}
        self._keep_at = 0.0
        self._opt_outs = OptOuts(clock)

    def step(self) -> Step:
        """Look at what was committed since the last step, and commit what it suppresses."""
        with self._used() as (directory, journal):
            seen, more = dict(self._seen), False
            found, waits = list[Suppression](), dict(self._waits)
            windows: list[tuple[int, int, int]] = []
            for name, node in journal.execute("SELECT name, id FROM nodes").fetchall():
                before = seen.get(name, 0)
                seen[name], events, not_all = suppressing_events.window(journal, node, before)
                windows.append((node, before, seen[name]))
                more = more or not_all
                found += self._suppressed(directory, journal, events, waits)
            arrived = list(suppressing_events.arrived(journal, windows, waits))
            late = [suppressing_events.one(journal, number) for number in arrived]
            found += [new for one in late if one for new in suppressed_by(one, self._terms)]
            found += self._opt_outs.look(directory, journal, self._now())
            done: tuple[Suppression, ...] = ()
            if found or waits != self._waits or self._due(seen):
                done = self._commit(directory, found, seen, waits)
            self._seen = seen
            return Step(done, more)

    def close(self) -> None:
        """Keep how far it is, if that can be done now, and let go of what is open."""
        with suppress(sqlite3.Error):
            if self._open and self._seen != self._kept:
                self._commit(self._open[0], [], self._seen, self._waits)
        self._forget()

    def _suppressed(
        self,
        directory: sqlite3.Connection,
        journal: sqlite3.Connection,
        events: Iterable[Any],
        waits: dict[Waiting, str],
    ) -> Iterator[Suppression]:
        """Yield what events suppress; note those that wait for our log."""
        delivered: dict[str, set[str]] = {}
        for told in (suppressing_events.told(journal, row, delivered) for row in events):
            by_tag = bool(told.tags) and told.type == UNSUBSCRIBED and _by_tag(directory, told.credential)
            found = suppressed_by(told, self._terms, by_tag=by_tag)
            yield from found
            if not found and suppressed_by(replace(told, delivered=True), self._terms):
                waits[told.message, lookup_address(told.recipient)] = told.id

    def _due(self, seen: dict[str, int]) -> bool:
        return seen != self._kept and self._clock() >= self._keep_at

    def _commit(
        self,
        directory: sqlite3.Connection,
        found: list[Suppression],
        seen: dict[str, int],
        waits: dict[Waiting, str],
    ) -> tuple[Suppression, ...]:
        now = self._now()
        new = [(number, *of, time_out(now)) for of, number in waits.items() if of not in self._waits]
        gone = [(number,) for of, number in self._waits.items() if of not in waits]
        with transaction(directory):
            done = tuple(self._put(directory, found))
            directory.executemany(_WAIT, new)
            directory.executemany(_WAIT_NO_MORE, gone)
            directory.execute(_WAITED, (time_out(now - WAITS),))
            directory.executemany(_POSITION, [(READER, name, at) for name, at in seen.items() if at])
            self._waits = _waiting(directory)
        self._kept, self._keep_at = dict(seen), self._clock() + KEEP_SECONDS
        return done

    def _put(self, directory: sqlite3.Connection, found: list[Suppression]) -> Iterator[Suppression]:
        numbers = json.dumps(sorted({one.account_id for one in found}))
        made = {number: time_in(at) for number, at in directory.execute(_ACCOUNTS, (numbers,))}
        cursor = directory.cursor()
        cursor.row_factory = row_factory
        for one in found:
            if one.account_id not in made or ids.time_of(one.message) < made[one.account_id]:
                continue
            forgotten = hashed(one.address)
            whose = (one.account_id, one.address, forgotten, one.credential, one.tag)
            known = {row["address"]: rows.suppression(row) for row in cursor.execute(_KNOWN, whose)}
            if forgotten in known:  # and stays so
                one = replace(one, address=forgotten, detail="")  # noqa: PLW2901
            kept = merged(known.get(one.address), one)
            if kept is None:
                continue
            kept = replace(kept, id=ids.new(int(self._now().timestamp() * 1000)))
            directory.execute(_PUT, _values(kept))
            yield kept

    @contextmanager
    def _used(self) -> Iterator[tuple[sqlite3.Connection, sqlite3.Connection]]:
        with faults(self._urls[0]):
            try:
                self._connect()
                directory, journal = self._open
                yield directory, journal
            except BaseException:
                self._forget()
                raise

    def _connect(self) -> None:
        """Have both open, and those that have the names now: a restored one has another position."""
        files = tuple(map(file_identity, self._urls))
        if files != self._files:
            self._forget()
            for url in self._urls:  # one by one: the first is let go of if the second cannot be opened
                self._open += (connect(url),)
            query = "SELECT node, sequence FROM event_positions WHERE reader = ?"
            self._seen = dict(self._open[0].execute(query, (READER,)).fetchall())
            self._waits = _waiting(self._open[0])
            self._opt_outs = OptOuts(self._clock)
            self._kept, self._keep_at = dict(self._seen), self._clock() + KEEP_SECONDS
            self._files = files

    def _forget(self) -> None:
        opened, self._open, self._files = self._open, (), ()
        for connection in opened:
            with suppress(sqlite3.Error):
                connection.close()


def _by_tag(directory: sqlite3.Connection, credential: str) -> bool:
    """Say whether who unsubscribes gets no more mail with the tags of that message only."""
    row = directory.execute("SELECT options FROM credentials WHERE username = ?", (credential,)).fetchone()
    return row is not None and Options.from_json(json.loads(row[0])).unsubscribe_scope == "tag"


def _waiting(directory: sqlite3.Connection) -> dict[Waiting, str]:
    """Return the reports that wait for our log, the newest."""
    query = "SELECT message_id, recipient, event_id FROM waiting_reports ORDER BY kept_at DESC LIMIT ?"
    return {
        (message, recipient): number
        for message, recipient, number in directory.execute(query, (_WAITING_MOST,))
    }


def _values(one: Suppression) -> tuple[object, ...]:
    """Return a suppression's values, in the order of the columns."""
    return (
        one.id,
        one.account_id,
        one.address,
        one.credential,
        one.tag,
        one.reason.value,
        time_out(one.since),
        None if one.expires_at is None else time_out(one.expires_at),
        None if one.removed_at is None else time_out(one.removed_at),
        one.event,
        one.message,
        one.detail,
    )
