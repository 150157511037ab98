"""Sending events again: by their ids, of a time, or what was given up; in the journal.

What is sent again has the id that it had. What waits already is tried now, and not sent twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, delete, select, update

from gatepost_core.domain.errors import NotFound, shown
from gatepost_core.store import paging
from gatepost_core.store.schema import events
from gatepost_core.store.webhooks import filling
from gatepost_core.store.webhooks.endpoints import Endpoint
from gatepost_core.store.webhooks.tables import webhook_dead, webhook_outbox

# Rows of events that one step looks at.
_WINDOW: Final = 2_000
_COLUMNS: Final = (events.c.id, events.c.message_id, events.c.account_id, events.c.type)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What one step did: events of the endpoint that it looked at, and where to go on ('' at the end)."""

    number: int
    cursor: str


def by_ids(connection: Connection, target: Endpoint, ids: Sequence[str], now: datetime) -> Replayed:
    """Send events again. Raises NotFound for one that is none of the account's, or is no longer kept."""
    rows = connection.execute(select(*_COLUMNS).where(events.c.id.in_(list(ids)))).all()
    mine = {row.id for row in rows if row.account_id == target.account_id}
    for number in ids:
        if number not in mine:
            raise NotFound(
                f"account {shown(target.account)} has no event {shown(number)}; it may be older than events "
                "are kept ('gatepost event list' shows what there is)"
            )
    return Replayed(_again(connection, target, sorted(rows, key=lambda row: row.id), now), "")


def of_time(
    connection: Connection,
    target: Endpoint,
    since: datetime,
    until: datetime | None,
    now: datetime,
    *,
    cursor: str = "",
    limit: int = _WINDOW,
) -> Replayed:
    """Send again what was noted from ``since`` on, before ``until``, in that order; some of it.

    ``cursor``: of the step before; ``limit``: events at most.
    """
    wanted = events.c.id >= paging.since(since)
    if until is not None:
        wanted &= events.c.id < paging.since(until)
    if cursor:
        wanted &= events.c.id > cursor
    rows = connection.execute(select(*_COLUMNS).where(wanted).order_by(events.c.id).limit(_WINDOW)).all()
    mine = [row for row in rows if row.account_id == target.account_id and target.wants(row.type)]
    some = mine[:limit]
    last = some[-1].id if len(some) < len(mine) else rows[-1].id if len(rows) == _WINDOW else ""
    return Replayed(_again(connection, target, some, now), last)


def given_up(connection: Connection, target: Endpoint, now: datetime, limit: int = _WINDOW) -> Replayed:
    """Send again what was given up, the oldest first, as far as it is still kept; some of it."""
    query = select(webhook_dead.c.event_id).where(webhook_dead.c.endpoint == target.handle)
    oldest = query.order_by(webhook_dead.c.id).limit(min(limit, _WINDOW))
    ids = list(connection.execute(oldest).scalars())
    rows = connection.execute(select(*_COLUMNS).where(events.c.id.in_(ids))).all()
    mine = sorted((row for row in rows if row.account_id == target.account_id), key=lambda row: row.id)
    number = _again(connection, target, mine, now)
    _forget(connection, target, ids)
    return Replayed(number, ids[-1] if len(ids) == min(limit, _WINDOW) else "")


def _again(connection: Connection, target: Endpoint, rows: Sequence[Any], now: datetime) -> int:
    ids = [row.id for row in rows]
    new = [
        {"endpoint": target.handle, "event_id": row.id, "message_id": row.message_id, "noted_at": now}
        for row in rows
    ]
    filling.put(connection, new, now)
    box = webhook_outbox.c
    waits = (box.endpoint == target.handle) & box.event_id.in_(ids)
    scheduled = waits & box.ready_at.is_not(None) & (box.sender == "")
    connection.execute(update(webhook_outbox).where(scheduled).values(ready_at=now))
    _forget(connection, target, ids)
    return len(ids)


def _forget(connection: Connection, target: Endpoint, ids: Sequence[str]) -> None:
    dead = (webhook_dead.c.endpoint == target.handle) & webhook_dead.c.event_id.in_(list(ids))
    connection.execute(delete(webhook_dead).where(dead))
