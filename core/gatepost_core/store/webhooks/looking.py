"""What people want to know of webhooks: what waits, what was tried, what was given up; in the journal."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from gatepost_core.store.webhooks.tables import webhook_attempts, webhook_dead, webhook_outbox


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to send an event. ``status``: HTTP's, 0 for none; ``next_at``: when it is tried again."""

    id: int
    endpoint: str
    event_id: str
    attempt: int
    at: datetime
    ok: bool
    status: int
    answer: str
    seconds: float
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class GivenUp:
    """An event that was given up."""

    id: int
    endpoint: str
    event_id: str
    message_id: str
    attempts: int
    died_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Queue:
    """What an endpoint holds up. ``blocked``: wait for an earlier event of their message.

    ``oldest``: since when the first one waits; ``next_at``: when something is tried next.
    """

    waiting: int
    blocked: int
    given_up: int
    oldest: datetime | None
    next_at: datetime | None


def queue(connection: Connection, endpoint: str) -> Queue:
    """Return what waits for an endpoint."""
    box, dead = webhook_outbox.c, webhook_dead.c
    mine = box.endpoint == endpoint
    blocked = select(func.count()).where(mine, box.ready_at.is_(None)).scalar_subquery()
    given_up = select(func.count()).where(dead.endpoint == endpoint).scalar_subquery()
    query = select(func.count(), blocked, given_up, func.min(box.noted_at), func.min(box.ready_at))
    waiting, held, gone, oldest, next_at = connection.execute(query.where(mine)).one()
    return Queue(waiting, held, gone, oldest, next_at)


def attempts(connection: Connection, endpoint: str, limit: int, *, event_id: str = "") -> list[Attempt]:
    """Return the newest attempts at an endpoint, perhaps those of one event, newest first."""
    query = select(webhook_attempts).where(webhook_attempts.c.endpoint == endpoint)
    if event_id:
        query = query.where(webhook_attempts.c.event_id == event_id)
    rows = connection.execute(query.order_by(webhook_attempts.c.id.desc()).limit(limit))
    return [Attempt(**_values(Attempt, row)) for row in rows]


def given_up(connection: Connection, endpoint: str, limit: int) -> list[GivenUp]:
    """Return events that were given up, newest first."""
    query = select(webhook_dead).where(webhook_dead.c.endpoint == endpoint)
    rows = connection.execute(query.order_by(webhook_dead.c.id.desc()).limit(limit))
    return [GivenUp(**_values(GivenUp, row)) for row in rows]


def _values(kind: type[Any], row: Any) -> dict[str, Any]:
    return {one.name: getattr(row, one.name) for one in fields(kind)}
