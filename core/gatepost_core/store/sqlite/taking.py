"""Writing what entries hold, within one transaction that somebody else begins and ends.

Statements run over whole batches, in the driver: for each message by itself they would cost as much again.
What is counted is counted for new rows only. Times come in the form of the columns.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from gatepost_core.domain import outcomes, spooled
from gatepost_core.domain.outcomes import Logged
from gatepost_core.domain.spooled import Accepted, Event, Refused, Row
from gatepost_core.store.ingest import logged as log
from gatepost_core.store.ingest.hours import Hours
from gatepost_core.store.ingest.intake import (
    Intake,
    Noted,
    NotHeld,
    Segment,
    counted,
    domain_of,
    from_address,
    recipient_rows,
)
from gatepost_core.store.sqlite import revising
from gatepost_core.store.sqlite.driver import time_out
from gatepost_core.store.sqlite.holding import forwarding, noting
from gatepost_core.store.sqlite.settling import Settling

# An event waits so long for its message, whose record may stand in another stream.
PENDING: Final = timedelta(hours=24)
_EXPIRED_AT_ONCE: Final = 1_000


def _insert(table: str, columns: Sequence[str], how: str = "INSERT") -> str:
    places = ", ".join("?" * len(columns))
    return f"{how} INTO {table} ({', '.join(columns)}) VALUES ({places})"


_NEW: Final = "INSERT OR IGNORE"
_MESSAGE = _insert("messages", (*Row._fields, "from_address"))
_RECIPIENT = _insert("recipients", ("message_id", "address", "domain"), _NEW)
_TAG = _insert("tags", ("tag", "message_id"), _NEW)
_TOLD = ("id", "type", "message_id", "recipient", "time", "detail")
_EVENT = _insert("events", ("node", "sequence", *_TOLD, "credential_id", "account_id"), _NEW)
_REFUSAL = _insert("events", ("node", "sequence", *_TOLD, "credential_id", "account_id", "reference"), _NEW)
_PENDING = _insert("pending_events", (*_TOLD, "kept_at"), _NEW)
_USED = (
    _insert("credential_usage", ("credential_id", "last_used_at", "last_used_ip"))
    + " ON CONFLICT (credential_id) DO UPDATE SET last_used_at = excluded.last_used_at, last_used_ip = "
    "excluded.last_used_ip WHERE excluded.last_used_at > last_used_at"
)
_COUNTED = ("hour", "node", "credential_id", "kind", "key", "type")
_COUNT = (
    _insert("rollups", (*_COUNTED, "account_id", "count", "recipients"))
    + f" ON CONFLICT ({', '.join(_COUNTED)}) DO UPDATE SET count = count + excluded.count, recipients = "
    "recipients + excluded.recipients"
)
_POSITION = (
    _insert("positions", ("node", "stream", "segment", "offset", "finished"))
    + " ON CONFLICT (node, stream, segment) DO UPDATE SET offset = max(offset, excluded.offset), finished = "
    "max(finished, excluded.finished)"
)
_QUEUED = (
    f"UPDATE recipients SET state = ?1, state_at = ?2 WHERE message_id = ?3 AND state = '{outcomes.ACCEPTED}'"  # noqa: S608
)
_QUEUED_WHOLE = f"UPDATE messages SET status = ?1 WHERE id = ?2 AND status = '{outcomes.ACCEPTED}'"  # noqa: S608
_KEPT = _insert("log_queue", ("node", "queue_id", "state"), "INSERT OR REPLACE")
_GONE = "DELETE FROM log_queue WHERE node = ? AND queue_id = ?"
_TRACED_TO = "SELECT traced_to FROM log_positions WHERE node = ?"
_TRACED_SO_FAR = "UPDATE log_positions SET traced_to = ? WHERE node = ?"
_UNTRACED = (
    "SELECT count(*) FROM messages WHERE id >= ? AND id < ? AND status = 'accepted' AND mode != 'sandbox' "
    "AND queue_id != '' AND EXISTS (SELECT 1 FROM events WHERE events.id = messages.id AND node = ?) AND NOT "
    "EXISTS (SELECT 1 FROM recipients WHERE message_id = messages.id AND state != 'accepted')"
)
# By the log's clock, microseconds: after so long a record must be in it; and from one look to the next.
_TRACED: Final = 120_000_000
_LOG_POSITION = (
    _insert("log_positions", ("node", "position", "read_at", "line_at", "lost", "lost_at"))
    + " ON CONFLICT (node) DO UPDATE SET position = excluded.position, read_at = excluded.read_at, line_at = "
    "coalesce(excluded.line_at, line_at), lost = lost + excluded.lost, lost_at = coalesce(excluded.lost_at, "
    "lost_at)"
)
# A list of any length, as one value of one prepared statement.
_AMONG = "IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True, slots=True)
class Taken:
    """What one transaction took. ``messages``, ``events``: new ones; ``logins``: credentials that were used.

    ``pending``: events whose message is not known yet; ``moved``: those whose message has come;
    ``expired``: those whose message never came. ``stopped``: segments, by stream and id, with something
    that cannot be read, and what it is; ``refused``: how many entries their stream may not hold, by stream
    and what they are; ``lost``: lines that the mail log must have had.
    """

    messages: int
    logins: int
    events: int
    pending: int
    moved: int
    expired: int
    stopped: dict[Segment, str]
    refused: dict[NotHeld, int]
    lost: int


@dataclass(frozen=True, slots=True)
class _Whose:
    """Of an event's message, what is kept with the event and counted."""

    credential_id: int
    account_id: int
    tags: list[str]


class Taking:
    """One transaction's work for one node."""

    def __init__(self, connection: sqlite3.Connection, node: int, hours: Hours, now: datetime) -> None:
        self._connection = connection
        self._node = node
        self._hours = hours
        self._now = now
        self._log_lost = 0
        newest = self._first("SELECT max(sequence) FROM events WHERE node = ?", node)
        # Never one that was given before, not even by a database that an older one took the place of:
        # whoever follows begins after the last that he has seen.
        self._sequence = max(newest or 0, int(now.timestamp() * 1000))

    def take(self, found: Intake, logged: Logged | None = None) -> Taken:
        """Write all of it. Raises the driver's errors."""
        run = self._connection.executemany
        messages = self._messages(found.accepted)
        run(_USED, found.used.values())
        waiting = self._first("SELECT EXISTS (SELECT 1 FROM pending_events)")
        moved = self._moved(messages) if waiting else {}
        told = self._logged(logged) if logged is not None else {}
        events, pending = self._events(found.events | told, moved, told)
        events += self._refusals(found.refusals)
        forwarding.note(self._connection, self._node, found.reports)
        expired = self._expire() if waiting else 0
        run(_COUNT, self._counts())
        run(
            _POSITION,
            [
                (self._node, one.stream, one.segment.hex(), one.offset, one.finished)
                for one in found.positions
            ],
        )
        refused = dict(found.refused)
        lost = self._log_lost
        return Taken(
            len(messages), len(found.used), events, pending, len(moved), expired, found.stopped, refused, lost
        )

    def _messages(self, accepted: dict[str, Accepted]) -> list[str]:
        """Insert those that are new, and what is found and counted by them; return their ids."""
        known = self._known("messages", accepted)
        new = [one for number, one in accepted.items() if number not in known]
        run = self._connection.executemany
        run(_MESSAGE, [(*one.row, from_address(one.row.header_from, one.row.sender)) for one in new])
        run(_RECIPIENT, [row for one in new for row in recipient_rows(one.row.id, one.recipients)])
        run(_TAG, [(tag, one.row.id) for one in new for tag in one.tags])
        run(_EVENT, [self._accepted(one.row) for one in new])
        for one in new:
            whose = (one.row.credential_id, one.row.account_id)
            self._hours.add(
                one.row.created_at, whose, outcomes.ACCEPTED, one.tags, map(domain_of, one.recipients)
            )
        return [one.row.id for one in new]

    def _accepted(self, row: Row) -> tuple[object, ...]:
        what = (row.id, outcomes.ACCEPTED, row.id, "", row.created_at, "{}")
        return (self._node, self._next(), *what, row.credential_id, row.account_id)

    def _events(
        self, noted: dict[str, Noted], moved: dict[str, Noted], logged: Collection[str]
    ) -> tuple[int, int]:
        """Insert events that are new; return how many, and how many wait for their message.

        ``logged``: ids of those that the mail log told of.
        """
        known = self._known("events", noted)
        new = [one for one in (moved | noted).values() if one.id not in known]
        messages = self._whose({one.event.message for one in new}) if new else {}
        settling = Settling(self._connection)
        here = settling.settle([one for one in new if one.event.message in messages], logged)
        here = noting.with_names(self._connection, here)
        self._connection.executemany(_EVENT, [self._event(one, messages[one.event.message]) for one in here])
        for one in here:
            event, whose = one.event, messages[one.event.message]
            of = (whose.credential_id, whose.account_id)
            self._hours.add(event.at, of, counted(event), whose.tags, _domains(event))
        settling.write()
        noting.note(self._connection, self._node, here, logged)
        if known:
            settling.improve(noted, known, logged)
        revising.tell_again(self._connection, settling.changed, self._node, self._next)
        revised = revising.revised(self._connection, [one.event for one in here])
        self._recount([*revised, *settling.changed.values()], messages)
        return len(here), self._keep([one for one in new if one.event.message not in messages])

    def _refusals(self, refusals: Mapping[str, Refused]) -> int:
        """Insert replies that refused something; return how many are new.

        A question that Postfix asked again was answered with the same reference: it is told once.
        """
        if not refusals:
            return 0
        query = f"SELECT reference, account_id FROM events WHERE reference != '' AND reference {_AMONG}"  # noqa: S608
        known = {tuple(row) for row in self._among(query, {one.reference for one in refusals.values()})}
        rows = list[tuple[object, ...]]()
        for number, one in refusals.items():
            if (whose := (one.reference, one.account_id)) not in known:
                known.add(whose)
                what = (number, "refused", "", one.recipient, one.at, one.detail)
                of = (one.credential_id, one.account_id, one.reference)
                rows.append((self._node, self._next(), *what, *of))
        self._connection.executemany(_REFUSAL, rows)
        return len(rows)

    def _recount(self, changed: Collection[tuple[Event, Event]], messages: Mapping[str, _Whose]) -> None:
        """Count events that were recorded before under what they are now."""
        others = {now.message for _, now in changed} - messages.keys()
        messages = {**messages, **self._whose(others)} if others else messages
        for before, now in changed:
            whose = messages.get(now.message)
            if whose is not None:  # else it is kept no more
                of = (whose.credential_id, whose.account_id)
                self._hours.add(before.at, of, counted(before), whose.tags, _domains(before), -1)
                self._hours.add(now.at, of, counted(now), whose.tags, _domains(now))

    def _logged(self, logged: Logged) -> dict[str, Noted]:
        """Note how far the log was read and what was taken up; return events of messages that are known.

        Other queue ids are of mail that Gatepost has no part in.
        """
        query = f"SELECT queue_id, id, created_at FROM messages WHERE queue_id {_AMONG}"  # noqa: S608
        known = log.newest(self._among(query, log.queue_ids(logged)))
        run = self._connection.executemany
        queued = [
            (outcomes.QUEUED, log.spelled(log.moment(at)), known[number].id)
            for number, at in logged.queued.items()
            if number in known and log.fits(known[number], at)
        ]
        run(_QUEUED, queued)
        run(_QUEUED_WHOLE, [(state, message) for state, _, message in queued])
        run(_KEPT, [(self._node, number, text) for number, text in logged.kept.items()])
        run(_GONE, [(self._node, number) for number in logged.gone])
        now = time_out(self._now)
        line_at = log.spelled(log.moment(logged.line_at)) if logged.line_at else None
        self._log_lost = logged.lost + self._untraced(logged.line_at)
        lost_at = now if self._log_lost else None
        self._connection.execute(
            _LOG_POSITION, (self._node, logged.position, now, line_at, self._log_lost, lost_at)
        )
        told = [
            log.noted(one, message)
            for one in logged.told
            if (message := known.get(one.queue_id)) is not None
            and log.fits(message, one.at)
            and not log.early(one, message, logged.line_at)
        ]
        return {one.id: one for one in told}

    def _untraced(self, line_at: int) -> int:
        """Return how many records should be in the log by its own clock, and are not. Each counts once."""
        if not line_at:
            return 0
        until = log.first_id(line_at - _TRACED)
        row = self._connection.execute(_TRACED_TO, (self._node,)).fetchone()
        since = row[0] if row is not None else ""
        if since and log.apart(since, until) < _TRACED:
            return 0
        self._connection.execute(_TRACED_SO_FAR, (until, self._node))
        return int(self._first(_UNTRACED, since, until, self._node)) if since else 0

    def _event(self, one: Noted, whose: _Whose) -> tuple[object, ...]:
        event = spooled.without_reader(one.event)
        return (self._node, self._next(), one.id, *event, whose.credential_id, whose.account_id)

    def _whose(self, messages: Iterable[str]) -> dict[str, _Whose]:
        query = f"SELECT id, credential_id, account_id, tags FROM messages WHERE id {_AMONG}"  # noqa: S608
        rows = self._among(query, messages)
        return {
            number: _Whose(credential, account or 0, json.loads(tags))
            for number, credential, account, tags in rows
        }

    def _keep(self, unknown: list[Noted]) -> int:
        """Keep events whose message is not known; return how many are new."""
        before = self._connection.total_changes
        kept_at = time_out(self._now)
        self._connection.executemany(_PENDING, [(one.id, *one.event, kept_at) for one in unknown])
        return self._connection.total_changes - before

    def _moved(self, messages: list[str]) -> dict[str, Noted]:
        """Take out the events that waited for these messages, the oldest first."""
        columns = ", ".join(_TOLD)
        query = f"SELECT {columns} FROM pending_events WHERE message_id {_AMONG}"  # noqa: S608
        rows = sorted(self._among(query, messages))
        found = {number: Noted(number, Event(*values)) for number, *values in rows}
        self._among(f"DELETE FROM pending_events WHERE id {_AMONG}", found)  # noqa: S608
        return found

    def _expire(self) -> int:
        """Let go what has waited too long; return how many."""
        query = (
            "DELETE FROM pending_events WHERE id IN (SELECT id FROM pending_events WHERE kept_at < ? LIMIT ?)"
        )
        return self._connection.execute(query, (time_out(self._now - PENDING), _EXPIRED_AT_ONCE)).rowcount

    def _counts(self) -> Iterator[tuple[object, ...]]:
        for what, (count, recipients) in self._hours.taken():
            hour, *rest, account_id = what
            yield hour, self._node, *rest, account_id, count, recipients

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def _known(self, table: str, numbers: Iterable[str]) -> set[str]:
        if not numbers:
            return set()
        return {number for (number,) in self._among(f"SELECT id FROM {table} WHERE id {_AMONG}", numbers)}  # noqa: S608

    def _among(self, query: str, values: Iterable[str]) -> list[Any]:
        return self._connection.execute(query, (json.dumps(list(values)),)).fetchall()

    def _first(self, query: str, *values: object) -> Any:
        return self._connection.execute(query, values).fetchone()[0]


def _domains(event: Event) -> tuple[str, ...]:
    return (domain_of(event.recipient),) if event.recipient else ()
