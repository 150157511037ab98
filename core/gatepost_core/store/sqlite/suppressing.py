"""From the journal's events to the directory's suppressions, exactly once, without SQLAlchemy.

Each node's events are followed by their sequence. What they suppress and how far they were read is one
transaction of the directory, so that a crash between the two cannot be. Each commit there empties the caches
of who reads it (``reader``): so nothing is committed while nothing is suppressed, but the position now and
then. What is read a second time, after a crash or of a restored journal, changes nothing
(``domain.suppressing.merged``).
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
from gatepost_core.domain.model import Mode
from gatepost_core.domain.suppressing import TYPES, Suppression, Told, merged, suppressed_by
from gatepost_core.store import rows
from gatepost_core.store.ingest.intake import lookup_address
from gatepost_core.store.sqlite.driver import connect, faults, row_factory, time_in, time_out, transaction
from gatepost_core.store.sqlite.locate import file_identity

READER: Final = "suppression"
# Events that are looked at in one step, and of them those that may suppress.
_LOOKED: Final = 5_000
_AT_ONCE: Final = 1_000
# A position beyond which nothing was suppressed is kept so often: what lies behind it is read again at most.
KEEP_SECONDS: Final = 600.0

_COLUMNS = (
    "id", "account_id", "address", "credential", "tag", "reason", "since_at", "expires_at", "removed_at",
    "event_id", "message_id", "detail",
)  # fmt: skip
_LISTED = ", ".join(_COLUMNS)
_KNOWN = (
    f"SELECT {_LISTED} FROM suppressions "  # noqa: S608 - our own names
    "WHERE account_id = ? AND address = ? AND credential = ? AND tag = ?"
)
# One that takes another's place is a new one in lists.
_PUT = f"INSERT OR REPLACE INTO suppressions ({_LISTED}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608
_END = "SELECT sequence FROM events WHERE node = ? AND sequence > ? ORDER BY sequence LIMIT 1 OFFSET ?"
_NEWEST = "SELECT max(sequence) FROM events WHERE node = ?"
_EVENTS = (
    "SELECT e.sequence, e.id, e.type, e.time, e.message_id, e.recipient, e.account_id, e.detail, m.username, "
    "m.mode FROM events AS e JOIN messages AS m ON m.id = e.message_id WHERE e.node = ? AND e.sequence > ? "
    "AND e.sequence <= ? AND +e.type IN (SELECT value FROM json_each(?)) ORDER BY e.sequence LIMIT ?"
)
_TYPES = json.dumps(TYPES)
_HAD = "SELECT 1 FROM recipients WHERE message_id = ? AND address = ?"
_SEVERAL = "SELECT count(*) FROM (SELECT 1 FROM recipients WHERE message_id = ? LIMIT 2)"
# What our own log shows; a report that says so proves nothing.
_DELIVERED = (
    "SELECT DISTINCT recipient FROM events WHERE message_id = ? AND type = 'delivered' "
    "AND coalesce(json_extract(detail, '$.source'), 'log') = 'log'"
)
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

    ``oldest``: of reports, how long before them their message may have been accepted. ``clock``: monotonic
    seconds; ``now``: the time in UTC. What it does raises StoreUnavailable; nothing is written then, and both
    databases are opened anew the next time.
    """

    def __init__(
        self,
        directory: str,
        journal: str,
        oldest: timedelta,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._urls = (directory, journal)
        self._oldest = oldest
        self._clock = clock
        self._now = now
        self._open: tuple[sqlite3.Connection, ...] = ()
        self._files: tuple[tuple[int, int], ...] = ()
        self._seen: dict[str, int] = {}
        self._kept: dict[str, int] = {}
        self._keep_at = 0.0

    def step(self) -> Step:
        """Look at what was committed since the last step, and commit what it suppresses."""
        with self._used() as (directory, journal):
            seen, more = dict(self._seen), False
            found: list[Suppression] = []
            for name, node in journal.execute("SELECT name, id FROM nodes").fetchall():
                after, events, not_all = _window(journal, node, seen.get(name, 0))
                seen[name] = after
                more = more or not_all
                found += self._suppressed(journal, events)
            done = self._commit(directory, found, seen) if found or self._due(seen) else ()
            self._seen = seen
            return Step(done, more)

    def close(self) -> None:
        """Keep how far it is, if that can be done now, and let go of what is open."""
        with suppress(sqlite3.Error):
            if self._open and self._seen != self._kept:
                self._commit(self._open[0], [], self._seen)
        self._forget()

    def _suppressed(self, journal: sqlite3.Connection, events: Iterable[Any]) -> Iterator[Suppression]:
        delivered: dict[str, set[str]] = {}
        for told in (_told(journal, row, delivered) for row in events):
            one = suppressed_by(told, self._oldest)
            if one is not None:
                yield one

    def _due(self, seen: dict[str, int]) -> bool:
        return seen != self._kept and self._clock() >= self._keep_at

    def _commit(
        self, directory: sqlite3.Connection, found: list[Suppression], seen: dict[str, int]
    ) -> tuple[Suppression, ...]:
        with transaction(directory):
            done = tuple(self._put(directory, found))
            directory.executemany(_POSITION, [(READER, name, at) for name, at in seen.items() if at])
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
            whose = (one.account_id, one.address, one.credential, one.tag)
            row = cursor.execute(_KNOWN, whose).fetchone()
            kept = merged(None if row is None else rows.suppression(row), one)
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
            self._open = tuple(connect(url) for url in self._urls)
            query = "SELECT node, sequence FROM event_positions WHERE reader = ?"
            self._seen = dict(self._open[0].execute(query, (READER,)).fetchall())
            self._kept, self._keep_at = dict(self._seen), self._clock() + KEEP_SECONDS
            self._files = files

    def _forget(self) -> None:
        opened, self._open, self._files = self._open, (), ()
        for connection in opened:
            with suppress(sqlite3.Error):
                connection.close()


def _window(journal: sqlite3.Connection, node: int, after: int) -> tuple[int, list[Any], bool]:
    """Return how far the next events of a node go, those of them that may suppress, and whether more wait."""
    row = journal.execute(_END, (node, after, _LOOKED - 1)).fetchone()
    full = row is not None
    end = row[0] if row is not None else journal.execute(_NEWEST, (node,)).fetchone()[0] or 0
    if end <= after:
        return after, [], False
    found = journal.execute(_EVENTS, (node, after, end, _TYPES, _AT_ONCE)).fetchall()
    if len(found) == _AT_ONCE:
        return found[-1][0], found, True
    return end, found, full


def _told(journal: sqlite3.Connection, row: Any, delivered: dict[str, set[str]]) -> Told:
    """Return an event with what the journal knows of its message; ``delivered``: what was read before."""
    _, number, type_, at, message, recipient, account, detail, username, mode = row
    address = lookup_address(recipient)
    had = bool(address) and journal.execute(_HAD, (message, address)).fetchone() is not None
    several = journal.execute(_SEVERAL, (message,)).fetchone()[0] > 1
    if had and several and message not in delivered:
        delivered[message] = {lookup_address(one) for (one,) in journal.execute(_DELIVERED, (message,))}
    return Told(
        id=number,
        type=type_,
        time=time_in(at),
        message=message,
        recipient=recipient,
        account_id=account,
        credential=username,
        mode=Mode(mode),
        had=had,
        several=several,
        delivered=address in delivered.get(message, ()),
        detail=json.loads(detail),
    )


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
