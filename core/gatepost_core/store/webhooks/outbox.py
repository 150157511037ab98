"""The outbox: what may be sent now, and what came of it; in the journal.

What is taken out to be sent stays there with a lease: should its sender die, it is sent again when that is
over. So everything arrives at least once, and what is sent again has the same id. Of each message one event
at a time is on its way to an endpoint; the next one follows when that has arrived, or was given up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from gatepost_core.domain.texts import bounded
from gatepost_core.store.webhooks.tables import (
    webhook_attempts,
    webhook_dead,
    webhook_endpoints,
    webhook_outbox,
)

_ANSWER_MOST: Final = 500
_AT_ONCE: Final = 500
# Of each endpoint, attempts that the log shows, and events that were given up.
ATTEMPTS_KEPT: Final = 1_000
GIVEN_UP_KEPT: Final = 10_000
_TRIMMED_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event that waits for an endpoint. ``payload``: of a test what is sent; ``attempts``: so far.

    ``ready_at``: when it may be tried; None while an earlier one of its message waits.
    """

    id: int
    endpoint: str
    event_id: str
    message_id: str
    payload: str | None
    attempts: int
    noted_at: datetime
    ready_at: datetime | None
    last_answer: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt.

    ``next_at``: when it is tried again; None where it arrived, or is given up. ``status``: HTTP's, 0 for
    none.
    """

    row: Waiting
    at: datetime
    ok: bool
    status: int
    answer: str
    seconds: float
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class Health:
    """How an endpoint fares. ``failing_since``: nothing has arrived since; ``failures``: in a row."""

    endpoint: str
    waiting: int = 0
    failures: int = 0
    failing_since: datetime | None = None
    last_at: datetime | None = None
    last_ok_at: datetime | None = None
    last_answer: str = ""


_WAITING: Final = tuple(one.name for one in fields(Waiting))
_HEALTH: Final = tuple(one.name for one in fields(Health))


def earliest(connection: Connection) -> dict[str, datetime]:
    """Return when something may be tried next, of each endpoint that something waits for."""
    first = (
        select(func.min(webhook_outbox.c.ready_at))
        .where(webhook_outbox.c.endpoint == webhook_endpoints.c.endpoint)
        .scalar_subquery()
    )
    query = select(webhook_endpoints.c.endpoint, first.label("first")).where(webhook_endpoints.c.waiting > 0)
    return {handle: when for handle, when in connection.execute(query) if when is not None}


_READY = (
    select(webhook_outbox)
    .where(webhook_outbox.c.endpoint == bindparam("of"), webhook_outbox.c.ready_at <= bindparam("now"))
    .order_by(webhook_outbox.c.ready_at, webhook_outbox.c.id)
    .limit(bindparam("most"))
)
_LEASE = (
    update(webhook_outbox)
    .where(webhook_outbox.c.id == bindparam("row"))
    .values(ready_at=bindparam("until"), sender=bindparam("who"))
)


def claim(
    connection: Connection, numbers: Mapping[str, int], now: datetime, lease: timedelta, sender: str
) -> list[Waiting]:
    """Take what may be sent now, the oldest first; nobody else does within ``lease``.

    ``numbers``: how much at most, by endpoint.
    """
    found: list[Waiting] = []
    for endpoint, most in numbers.items():
        rows = connection.execute(_READY, {"of": endpoint, "now": now, "most": most})
        found += [_waiting(row) for row in rows]
    if found:
        leases = [{"row": one.id, "until": now + lease, "who": sender} for one in found]
        connection.execute(_LEASE, leases)
    return found


def release(connection: Connection, sender: str, now: datetime) -> int:
    """Have tried again now what a sender that has ended was sending; return how many those are."""
    leased = webhook_outbox.c.sender == sender
    values = {"ready_at": now, "sender": ""}
    return connection.execute(update(webhook_outbox).where(leased).values(**values)).rowcount


_GONE = delete(webhook_outbox).where(webhook_outbox.c.id == bindparam("row"))
_AGAIN = (
    update(webhook_outbox)
    .where(webhook_outbox.c.id == bindparam("row"))
    .values(
        attempts=bindparam("tried"),
        ready_at=bindparam("next_at"),
        sender="",
        last_answer=bindparam("answer"),
    )
)
_next = (
    select(func.min(webhook_outbox.c.id))
    .where(webhook_outbox.c.endpoint == bindparam("of"), webhook_outbox.c.message_id == bindparam("message"))
    .scalar_subquery()
)
_PROMOTE = (
    update(webhook_outbox)
    .where(webhook_outbox.c.id == _next, webhook_outbox.c.ready_at.is_(None))
    .values(ready_at=bindparam("now"))
)


def record(connection: Connection, outcomes: Sequence[Outcome]) -> None:
    """Record attempts: what arrived is gone, what is given up is kept apart, the rest is tried again.

    What was removed meanwhile stays removed.
    """
    if not outcomes:
        return
    box = webhook_outbox.c
    numbers = [one.row.id for one in outcomes]
    # Another journal may have taken the place of the one that they were taken from.
    query = select(box.id, box.endpoint, box.event_id).where(box.id.in_(numbers))
    known = {tuple(row) for row in connection.execute(query)}
    here = [one for one in outcomes if (one.row.id, one.row.endpoint, one.row.event_id) in known]
    if not here:
        return
    connection.execute(insert(webhook_attempts), [_attempt(one) for one in here])
    again = [one for one in here if one.next_at is not None]
    ended = [one for one in here if one.next_at is None]
    if again:
        connection.execute(_AGAIN, [_later(one) for one in again])
    dead = [one for one in ended if not one.ok and one.row.payload is None]
    bury(connection, [one.row for one in dead], [one.answer for one in dead], here[-1].at)
    if ended:
        connection.execute(_GONE, [{"row": one.row.id} for one in ended])
        promote(connection, [one.row for one in ended], here[-1].at)
    _note(connection, here)


def bury(connection: Connection, rows: Sequence[Waiting], reasons: Sequence[str], now: datetime) -> None:
    """Keep what is given up apart. What was given up before already is noted anew."""
    for row, reason in zip(rows, reasons, strict=True):
        same = (webhook_dead.c.endpoint == row.endpoint) & (webhook_dead.c.event_id == row.event_id)
        connection.execute(delete(webhook_dead).where(same))
        connection.execute(
            insert(webhook_dead).values(
                endpoint=row.endpoint,
                event_id=row.event_id,
                message_id=row.message_id,
                attempts=row.attempts + 1,
                died_at=now,
                reason=bounded(reason, _ANSWER_MOST),
            )
        )


def promote(connection: Connection, rows: Sequence[Waiting], now: datetime) -> None:
    """Have the next event of each row's message tried; the row itself is gone."""
    messages = {(one.endpoint, one.message_id) for one in rows if one.message_id}
    if messages:
        values = [{"of": endpoint, "message": message, "now": now} for endpoint, message in sorted(messages)]
        connection.execute(_PROMOTE, values)


def health(connection: Connection, endpoints: Sequence[str] | None = None) -> dict[str, Health]:
    """Return how each endpoint fares that something was to be sent to, or these."""
    query = select(webhook_endpoints)
    if endpoints is not None:
        query = query.where(webhook_endpoints.c.endpoint.in_(endpoints))
    return {row.endpoint: _health(row) for row in connection.execute(query)}


def empty(connection: Connection, endpoint: str, reason: str, now: datetime) -> bool:
    """Give up some of what waits for an endpoint; say whether that was all of it."""
    query = select(webhook_outbox).where(webhook_outbox.c.endpoint == endpoint)
    rows = [_waiting(row) for row in connection.execute(query.order_by(webhook_outbox.c.id).limit(_AT_ONCE))]
    events = [row for row in rows if row.payload is None]
    bury(connection, events, [row.last_answer or reason for row in events], now)
    if rows:
        connection.execute(_GONE, [{"row": row.id} for row in rows])
        waiting = webhook_endpoints.c.waiting - len(rows)
        mine = webhook_endpoints.c.endpoint == endpoint
        connection.execute(update(webhook_endpoints).where(mine).values(waiting=waiting))
    return len(rows) < _AT_ONCE


def trim(connection: Connection, endpoint: str) -> None:
    """Let go of some of the oldest attempts, and of what was given up, beyond what is kept of an endpoint."""
    for table, most in ((webhook_attempts, ATTEMPTS_KEPT), (webhook_dead, GIVEN_UP_KEPT)):
        mine = select(table.c.id).where(table.c.endpoint == endpoint)
        last = connection.execute(mine.order_by(table.c.id.desc()).offset(most).limit(1)).scalar()
        if last is not None:
            some = mine.where(table.c.id <= last).order_by(table.c.id).limit(_TRIMMED_AT_ONCE)
            connection.execute(delete(table).where(table.c.id.in_(some)))


_FARES = (
    update(webhook_endpoints)
    .where(webhook_endpoints.c.endpoint == bindparam("of"))
    .values(
        waiting=webhook_endpoints.c.waiting - bindparam("ended"),
        failures=bindparam("in_a_row"),
        failing_since=bindparam("since_when"),
        last_at=bindparam("last"),
        last_ok_at=bindparam("last_ok"),
        last_answer=bindparam("answer"),
    )
)


def _note(connection: Connection, outcomes: Sequence[Outcome]) -> None:
    """Note how the endpoints fare now."""
    before = health(connection, sorted({one.row.endpoint for one in outcomes}))
    after = dict(before)
    ended = dict.fromkeys(before, 0)
    for one in outcomes:
        own = after.get(one.row.endpoint)
        if own is None:
            continue
        ended[own.endpoint] += one.next_at is None
        answer = bounded(one.answer, _ANSWER_MOST)
        after[own.endpoint] = replace(
            own,
            failures=0 if one.ok else own.failures + 1,
            failing_since=None if one.ok else own.failing_since or one.at,
            last_at=one.at,
            last_ok_at=one.at if one.ok else own.last_ok_at,
            last_answer=answer,
        )
    values = [
        {
            "of": handle,
            "ended": ended[handle],
            "in_a_row": own.failures,
            "since_when": own.failing_since,
            "last": own.last_at,
            "last_ok": own.last_ok_at,
            "answer": own.last_answer,
        }
        for handle, own in after.items()
    ]
    if values:
        connection.execute(_FARES, values)


def _attempt(one: Outcome) -> dict[str, Any]:
    return {
        "endpoint": one.row.endpoint,
        "event_id": one.row.event_id,
        "attempt": one.row.attempts + 1,
        "at": one.at,
        "ok": one.ok,
        "status": one.status,
        "answer": bounded(one.answer, _ANSWER_MOST),
        "seconds": one.seconds,
        "next_at": one.next_at,
    }


def _later(one: Outcome) -> dict[str, Any]:
    return {
        "row": one.row.id,
        "tried": one.row.attempts + 1,
        "next_at": one.next_at,
        "answer": bounded(one.answer, _ANSWER_MOST),
    }


def _waiting(row: Any) -> Waiting:
    return Waiting(*(getattr(row, name) for name in _WAITING))


def _health(row: Any) -> Health:
    return Health(*(getattr(row, name) for name in _HEALTH))
