"""What events of the journal count for whom: read, and added to buckets of time.

What is counted and how far that is are one transaction of the journal, which begins where the look did: so
each event counts once, however many processes count. Counted are the recipients' rows of a message: a client
may name one recipient many times.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from gatepost_core.domain import ids
from gatepost_core.domain.limits.suspending import (
    BUCKET,
    HOUR,
    PROOF_BY_DOMAIN,
    PROOFS,
    Cause,
    Counts,
    Thresholds,
    bounced,
    reported,
)
from gatepost_core.domain.model import Mode
from gatepost_core.store.ingest.intake import domain_of, lookup_address
from gatepost_core.store.sqlite.suspending.fresh import Fresh

# Of each node, events that are looked at in one step; of them those that may count; and rows of recipients,
# and of other messages to them, that are read for these. What goes beyond waits for the next step.
_LOOKED: Final = 5_000
_AT_ONCE: Final = 1_000
_ROWS_AT_ONCE: Final = 20_000
_END: Final = "SELECT sequence FROM events WHERE node = ? AND sequence > ? ORDER BY sequence LIMIT 1 OFFSET ?"
_NEWEST: Final = "SELECT max(sequence) FROM events WHERE node = ?"
_EVENTS: Final = (
    "SELECT e.sequence, e.type, e.time, e.message_id, e.recipient, e.credential_id, e.account_id, e.detail, "
    "m.from_address, m.mode, CASE WHEN e.type IN ('accepted', 'refused') THEN (SELECT count(*) FROM "
    "recipients AS r WHERE r.message_id = m.id) ELSE (SELECT count(*) FROM (SELECT 1 FROM recipients AS r "
    "WHERE r.message_id = m.id LIMIT 2)) END "
    "FROM events AS e JOIN messages AS m ON m.id = e.message_id WHERE e.node = ? AND e.sequence > ? "
    "AND e.sequence <= ? AND +e.type IN ('accepted', 'refused', 'failed', 'bounced', 'complaint') "
    "ORDER BY e.sequence"
)
_HAD: Final = "SELECT 1 FROM recipients WHERE message_id = ? AND address = ?"
# When a message was accepted that turned out not to be queued: asked of the first event that tells so.
_UNQUEUED: Final = (
    "SELECT a.time FROM messages AS m JOIN events AS a ON a.id = m.id WHERE m.id = ? AND "
    "m.status = 'not-queued' AND NOT EXISTS (SELECT 1 FROM events AS b WHERE b.message_id = m.id AND "
    "+b.type = 'refused' AND +b.sequence < ?)"
)
_REPORT: Final = (
    "INSERT INTO sender_reports (credential_id, since, recipient, cause, bucket) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET bucket = excluded.bucket WHERE bucket < ?"
)
_COUNT: Final = (
    "INSERT INTO sender_counts (credential_id, since, bucket, recipients, bounces, complaints, fresh, "
    "message_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (credential_id, since, bucket) DO UPDATE SET "
    "recipients = recipients + excluded.recipients, bounces = bounces + excluded.bounces, "
    "complaints = complaints + excluded.complaints, fresh = fresh + excluded.fresh, "
    "message_id = CASE excluded.message_id WHEN '' THEN message_id ELSE excluded.message_id END"
)
_LESS: Final = (
    "UPDATE sender_counts SET recipients = max(recipients - ?, 0), fresh = max(fresh - ?, 0) "
    "WHERE credential_id = ? AND since = ? AND bucket = ?"
)
_POSITION: Final = (
    "INSERT INTO sender_positions (node, sequence) VALUES (?, ?) ON CONFLICT (node) DO UPDATE SET "
    "sequence = excluded.sequence"
)
_SUM: Final = (
    "SELECT coalesce(sum(recipients), 0), coalesce(sum(bounces), 0), coalesce(sum(complaints), 0), "
    "coalesce(sum(CASE WHEN bucket > ? THEN fresh END), 0), max(message_id) FROM sender_counts "
    "WHERE credential_id = ? AND since = ? AND bucket > ? AND bucket <= ?"
)
_OLD: Final = "DELETE FROM {} WHERE bucket < ?"


class Where(NamedTuple):
    """What is counted in one number: a credential, since when it counts, and the bucket (``tables``)."""

    credential: int
    since: int
    bucket: int


# Since when a credential counts; None for one that is gone, or is not active.
Find = Callable[[int], datetime | None]
# Says whether several accounts may use a domain.
Shared = Callable[[str], bool]


class Report(NamedTuple):
    """What somebody reported: where it counts, unless the recipient has reported before."""

    where: Where
    recipient: str
    cause: Cause
    message: str


@dataclass(slots=True)
class Seen:
    """What a look at events found: where it began and how far it goes, of each node; what counts where."""

    before: dict[int, int]
    positions: dict[int, int]
    more: bool = False
    counts: dict[Where, list[int]] = field(default_factory=dict[Where, list[int]])
    messages: dict[Where, str] = field(default_factory=dict[Where, str])
    reports: list[Report] = field(default_factory=list[Report])
    # Of messages that were not queued after all, recipients and new ones, which were counted before.
    less: list[tuple[int, int, Where]] = field(default_factory=list[tuple[int, int, Where]])

    def add(self, where: Where, place: int, number: int, message: str = "") -> None:
        """Add to what is counted; ``message``: one that was more than a recipient."""
        self.counts.setdefault(where, [0, 0, 0, 0])[place] += number
        if message:
            self.messages[where] = max(self.messages.get(where, ""), message)

    def newest(self) -> dict[int, int]:
        """Return of each credential that something was counted of the newest bucket."""
        newest: dict[int, int] = {}
        for where in self.counts:
            newest[where.credential] = max(newest.get(where.credential, 0), where.bucket)
        return newest


RECIPIENTS, BOUNCES, COMPLAINTS, FRESH = range(4)
_PLACES: Final = {Cause.BOUNCES: BOUNCES, Cause.COMPLAINTS: COMPLAINTS}


class Counting:
    """Looks at a journal, and writes there what it has counted. ``own``: accounts' own thresholds."""

    def __init__(
        self, thresholds: Thresholds, find: Find, shared: Shared, own: Mapping[int, Thresholds] | None = None
    ) -> None:
        self._thresholds = thresholds
        self._own = own or {}
        self._find = find
        self._shared = shared

    def look(self, journal: sqlite3.Connection, now: datetime) -> Seen:
        """Return what the next events count. Raises the driver's errors."""
        # No event is committed with a sequence below the milliseconds since 1970 of that moment. What was
        # committed before, while nothing was counted, is not judged long afterwards.
        begin = milliseconds(now - self._thresholds.window)
        before = positions(journal)
        seen, fresh = Seen(before, dict(before)), Fresh(journal)
        for (node,) in journal.execute("SELECT id FROM nodes").fetchall():
            after = max(seen.positions.get(node, 0), begin)
            row = journal.execute(_END, (node, after, _LOOKED - 1)).fetchone()
            end = row[0] if row is not None else journal.execute(_NEWEST, (node,)).fetchone()[0] or 0
            if end <= after:
                continue
            events = journal.execute(_EVENTS, (node, after, end))
            seen.positions[node] = last = self._count_some(journal, events, seen, now, fresh, end)
            seen.more = seen.more or last < end or row is not None
        return seen

    def _count_some(
        self,
        journal: sqlite3.Connection,
        events: Iterable[Any],
        seen: Seen,
        now: datetime,
        fresh: Fresh,
        end: int,
    ) -> int:
        """Count events for as long as one step may take; return how far that is, ``end`` if it is all."""
        rows, beside = 0, fresh.rows
        for number, one in enumerate(events, 1):
            self._count(journal, one, seen, now, fresh)
            rows += one[-1]
            if number == _AT_ONCE or rows + fresh.rows - beside >= _ROWS_AT_ONCE:
                return int(one[0])
        return end

    def _count(self, journal: sqlite3.Connection, row: Any, seen: Seen, now: datetime, fresh: Fresh) -> None:
        sequence, type_, at, message, recipient, credential, account, text, author, mode, number = row
        since = self._find(credential) if mode != Mode.SANDBOX and account else None
        # A report about a message of before counts no more, whenever it comes.
        if since is None or ids.time_of(message) < since:
            return
        bursts = self._own.get(account, self._thresholds).on(Cause.NEW_RECIPIENTS)
        if type_ == "refused":
            found = journal.execute(_UNQUEUED, (message, sequence)).fetchone()
            if found is not None:
                taken = fresh.taken(message, account, sequence) if bursts else 0
                seen.less.append((number, taken, _where(credential, since, found[0], now)))
            return
        where = _where(credential, since, at, now)
        if type_ == "accepted":
            seen.add(where, RECIPIENTS, number)
            if bursts:
                added = fresh.added(message, account, sequence)
                seen.add(where, FRESH, added, message if added else "")
            return
        detail = json.loads(text)
        cause = self._cause(type_, detail, author)
        if cause is None:
            return
        if not reported(type_, detail):
            seen.add(where, BOUNCES, 1, message)
            return
        address = lookup_address(recipient)
        # Of several recipients any could report for another.
        if number == 1 and journal.execute(_HAD, (message, address)).fetchone() is not None:
            seen.reports.append(Report(where, address, cause, message))

    def _cause(self, type_: str, detail: dict[str, Any], author: str) -> Cause | None:
        if type_ != "complaint":
            return Cause.BOUNCES if bounced(type_, detail) else None
        proof = detail.get("proof")
        if proof in PROOFS or (proof == PROOF_BY_DOMAIN and not self._shared(domain_of(author))):
            return Cause.COMPLAINTS
        return None

    def keep(self, journal: sqlite3.Connection, seen: Seen) -> bool:
        """Write what was counted, within a transaction; not where another process has counted meanwhile.

        Return whether it was written: if not, the same events are to be looked at again.
        """
        if positions(journal) != seen.before:
            return False
        lasts = int(self._thresholds.window.total_seconds())
        for where, recipient, cause, message in seen.reports:
            told = *where[:2], recipient, cause.value, where.bucket, where.bucket - lasts
            if journal.execute(_REPORT, told).rowcount:
                seen.add(where, _PLACES[cause], 1, message)
        journal.executemany(
            _COUNT, [(*where, *counts, seen.messages.get(where, "")) for where, counts in seen.counts.items()]
        )
        journal.executemany(_LESS, [(number, fresh, *where) for number, fresh, where in seen.less])
        journal.executemany(_POSITION, seen.positions.items())
        return True


def counted(
    journal: sqlite3.Connection,
    credential: int,
    since: datetime,
    end: int,
    thresholds: Thresholds,
    now: datetime,
) -> tuple[Counts, str]:
    """Return what a credential's window has up to a bucket, and the last message of it.

    The window is the one before now, however old that bucket is.
    """
    begin = oldest(thresholds, now)
    asked = end - int(HOUR.total_seconds()), credential, milliseconds(since), begin, end
    *counts, message = journal.execute(_SUM, asked).fetchone()
    return Counts(*counts), message or ""


def oldest(thresholds: Thresholds, now: datetime) -> int:
    """Return the newest bucket that the window before now has no more."""
    return _bucket(now) - int(max(thresholds.window, HOUR).total_seconds())


def positions(journal: sqlite3.Connection) -> dict[int, int]:
    """Return how far events are counted, of each node."""
    return dict(journal.execute("SELECT node, sequence FROM sender_positions").fetchall())


def forget(journal: sqlite3.Connection, before: int) -> None:
    """Let go of buckets that no window has any more."""
    for table in ("sender_counts", "sender_reports"):
        journal.execute(_OLD.format(table), (before,))


def milliseconds(time: datetime) -> int:
    """Return a time as milliseconds since 1970."""
    return int(time.timestamp() * 1000)


def _where(credential: int, since: datetime, at: str, now: datetime) -> Where:
    when = min(datetime.fromisoformat(at).replace(tzinfo=UTC), now)
    return Where(credential, milliseconds(since), _bucket(when))


def _bucket(time: datetime) -> int:
    return int(time.timestamp()) // BUCKET * BUCKET
