"""Warns and suspends credentials by what the journal's events count, each exactly once.

Three transactions, in this order: counts with how far events are read (journal); what is done, with the
credential's state (directory); the event that tells of it (journal), whose id is made beforehand, then that
it was told. Whatever a crash cuts off is taken up at the start: all that have counts are judged, and what is
not told yet is told.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from gatepost_core.domain import ids, spooled
from gatepost_core.domain.limits.suspending import BUCKET, Action, Suspension, Thresholds, judged
from gatepost_core.domain.model import State
from gatepost_core.domain.walls import covering
from gatepost_core.store import rows
from gatepost_core.store.ingest.intake import Noted
from gatepost_core.store.sqlite.driver import connect, faults, row_factory, time_in, time_out, transaction
from gatepost_core.store.sqlite.ingesting import Ingester
from gatepost_core.store.sqlite.locate import file_identity
from gatepost_core.store.sqlite.suspending.counting import Counting, counted, forget, oldest

EVERY_SECONDS: Final = 3_600.0
_CREDENTIAL: Final = (
    "SELECT c.state, c.account_id, c.created_at, (SELECT max(lifted_at) FROM suspensions AS s "
    "WHERE s.credential_id = c.id) AS lifted_at FROM credentials AS c WHERE c.id = ?"
)
_OWN: Final = "SELECT id, suspension FROM accounts WHERE suspension IS NOT NULL"
# A warning is not repeated for a window's time.
_WARNED: Final = (
    "SELECT 1 FROM suspensions WHERE credential_id = ? AND lifted_at IS NULL AND cause = ? AND "
    "action = 'warned' AND noted_at > ?"
)
_PUT: Final = (
    "INSERT OR IGNORE INTO suspensions (credential_id, cause, action, noted_at, count, recipients, hours, "
    "most, message_id, event_id, told) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)"
)
_DISABLE: Final = "UPDATE credentials SET state = ? WHERE id = ?"
_UNTOLD: Final = (
    "SELECT s.*, c.username FROM suspensions AS s JOIN credentials AS c ON c.id = s.credential_id "
    "WHERE NOT s.told ORDER BY s.id"
)
_TOLD: Final = "UPDATE suspensions SET told = 1 WHERE event_id = ? AND NOT told"
_ALL: Final = (
    "SELECT credential_id, max(bucket) FROM sender_counts WHERE (bounces OR complaints OR fresh) "
    "AND bucket > ? GROUP BY credential_id"
)
_GRANTED: Final = "SELECT 1 FROM domain_grants WHERE name IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True, slots=True)
class Done:
    """What one step did: user names and what was done to them; ``more``: not all events were looked at."""

    suspensions: tuple[tuple[str, Suspension], ...]
    more: bool


class Suspender:
    """Follows a journal. For one thread at a time; connects when it is needed.

    ``clock``: monotonic seconds; ``now``: the time in UTC. What it does raises StoreUnavailable, and is
    taken up by the next step.
    """

    def __init__(
        self,
        directory: str,
        ingester: Ingester,
        thresholds: Thresholds,
        *,
        journal: str,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._urls = (directory, journal)
        self._ingester = ingester
        self._thresholds = thresholds
        self._clock = clock
        self._now = now
        self._open: tuple[sqlite3.Connection, ...] = ()
        self._files: tuple[tuple[int, int], ...] = ()
        self._begun = False
        # Accounts' own thresholds by their ids, and as of which version of the directory they are known.
        self._own: dict[int, Thresholds] = {}
        self._own_as_of = -1
        self._forget_at = 0.0

    def step(self) -> Done:
        """Count what was committed since the last step, judge whom it is about, and tell."""
        with faults(self._urls[0]):
            try:
                self._connect()
                self._read_own(self._open[0])
                anywhere = self._thresholds.any or any(one.any for one in self._own.values())
                done = self._step(*self._open) if anywhere else Done((), more=False)
            except BaseException:
                self._close()
                raise
        return done

    def close(self) -> None:
        """Let go of what is open."""
        self._close()

    def _step(self, directory: sqlite3.Connection, journal: sqlite3.Connection) -> Done:
        now = self._now()
        known: dict[int, tuple[datetime | None, int]] = {}

        def find(credential: int) -> datetime | None:
            if credential not in known:
                known[credential] = _since(directory, credential)
            return known[credential][0]

        counting = Counting(self._thresholds, find, lambda domain: _shared(directory, domain), self._own)
        seen = counting.look(journal, now)
        forgets = self._clock() >= self._forget_at
        if seen.positions != seen.before or forgets:
            with transaction(journal):
                if not counting.keep(journal, seen):
                    return Done((), more=True)
                if forgets:
                    forget(journal, int((now - 2 * self._thresholds.window).timestamp()) - BUCKET)
            self._forget_at = self._clock() + EVERY_SECONDS if forgets else self._forget_at
        last = oldest(self._thresholds, now)
        about = seen.newest() if self._begun else dict(journal.execute(_ALL, (last,)).fetchall())
        wanted = [
            (credential, since, one)
            for credential, end in about.items()
            if (since := find(credential)) is not None
            for counts, message in [counted(journal, credential, since, end, self._thresholds, now)]
            for one in judged(counts, self._own.get(known[credential][1], self._thresholds), now, message)
        ]
        if wanted:
            self._do(directory, wanted)
        done = self._tell(directory)
        self._begun = True
        return Done(done, seen.more)

    def _read_own(self, directory: sqlite3.Connection) -> None:
        """Know accounts' own thresholds; where they have changed, all that have counts are judged anew."""
        (version,) = directory.execute("PRAGMA data_version").fetchone()
        if version == self._own_as_of:
            return
        own = {
            account: rows.own_thresholds_in(json.loads(stored)).over(self._thresholds)
            for account, stored in directory.execute(_OWN)
        }
        self._begun = self._begun and own == self._own
        self._own, self._own_as_of = own, version

    def _do(self, directory: sqlite3.Connection, wanted: Iterable[tuple[int, datetime, Suspension]]) -> None:
        """Commit what is to be done, unless that was done, or the credential is another matter by now."""
        new = [one for one in wanted if self._due(directory, *one)]
        if not new:
            return
        with transaction(directory):
            for credential, since, one in new:
                if self._due(directory, credential, since, one):
                    directory.execute(_PUT, _values(credential, one))
                    if one.action is Action.SUSPENDED:
                        directory.execute(_DISABLE, (State.DISABLED.value, credential))

    def _due(self, directory: sqlite3.Connection, credential: int, since: datetime, one: Suspension) -> bool:
        if _since(directory, credential)[0] != since:
            return False
        if one.action is Action.SUSPENDED:
            return True
        good = time_out(one.at - self._thresholds.window)
        return directory.execute(_WARNED, (credential, one.cause.value, good)).fetchone() is None

    def _tell(self, directory: sqlite3.Connection) -> tuple[tuple[str, Suspension], ...]:
        """Put into the journal what is not told yet, and note that; return what nobody else has noted."""
        cursor = directory.cursor()
        cursor.row_factory = row_factory
        untold = [(row["username"], rows.suspension(row)) for row in cursor.execute(_UNTOLD)]
        if not untold:
            return ()
        self._ingester.tell([_noted(one) for _, one in untold])
        with transaction(directory):
            return tuple(
                (name, one) for name, one in untold if directory.execute(_TOLD, (one.event,)).rowcount
            )

    def _connect(self) -> None:
        files = tuple(map(file_identity, self._urls))
        if files != self._files:
            self._close()
            # What a crash takes back of the journal is counted again. One by one: the first is let go of if
            # the second cannot be opened.
            for url, synchronous in zip(self._urls, ("full", "normal"), strict=True):
                self._open += (connect(url, synchronous=synchronous),)
            self._files = files

    def _close(self) -> None:
        opened, self._open, self._files, self._begun = self._open, (), (), False
        self._own_as_of = -1
        self._ingester.close()
        for connection in opened:
            with suppress(sqlite3.Error):
                connection.close()


def _since(directory: sqlite3.Connection, credential: int) -> tuple[datetime | None, int]:
    """Return since when a credential counts, made or lifted, and whose it is.

    None where it is gone, or is not active.
    """
    row = directory.execute(_CREDENTIAL, (credential,)).fetchone()
    if row is None or row[0] != State.ACTIVE:
        return None, 0
    return max([time_in(at) for at in row[2:] if at is not None]), row[1]


def _shared(directory: sqlite3.Connection, domain: str) -> bool:
    return directory.execute(_GRANTED, (json.dumps(covering(domain)),)).fetchone() is not None


def _values(credential: int, one: Suspension) -> tuple[Any, ...]:
    at = time_out(one.at)
    what = f"suspended\0{credential}\0{one.cause}\0{one.action}\0{at}".encode()
    stamped = int(one.at.timestamp() * 1000).to_bytes(6, "big")
    event = ids.from_bytes(stamped + hashlib.sha256(what).digest()[:7])
    numbers = one.count, one.recipients, one.hours, one.most
    return (credential, one.cause.value, one.action.value, at, *numbers, one.message, event)


def _noted(one: Suspension) -> Noted:
    detail = json.dumps(one.detail(), separators=(",", ":"))
    return Noted(one.event, spooled.Event("suspended", one.message, "", time_out(one.at), detail))
