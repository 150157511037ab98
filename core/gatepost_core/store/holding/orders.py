"""Asking for what is to be done with held messages. Functions on an open connection of the journal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from gatepost_core.domain import MessageRecord
from gatepost_core.domain.errors import StoreError
from gatepost_core.domain.outcomes import OPEN
from gatepost_core.store import messages as records
from gatepost_core.store.holding.tables import OPEN as HELD
from gatepost_core.store.holding.tables import hold_orders, holdings
from gatepost_core.store.schema import nodes


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for of a message, and what came of it so far: ``open``, or ``HoldState``."""

    message: str
    verb: str
    by: str
    at: datetime
    due: datetime
    state: str
    note: str
    node: str


def ask(connection: Connection, name: str, verb: str, by: str, now: datetime) -> MessageRecord:
    """Ask for a message to be released or dropped; ``name`` is any of its names.

    It takes an earlier order's place. Raises NotFound, and StoreError for a message that is not held.
    """
    record = records.get(connection, name)
    node = connection.execute(
        select(holdings.c.node).where(holdings.c.message_id == record.id, HELD)
    ).scalar_one_or_none()
    if node is None:
        raise StoreError(f"message {record.id} is not held; its status is {record.status}")
    connection.execute(delete(hold_orders).where(hold_orders.c.message_id == record.id))
    connection.execute(
        insert(hold_orders).values(
            message_id=record.id,
            node=node,
            verb=verb,
            asked_by=by[:255],
            asked_at=now,
            due_at=now,
            state=OPEN,
        )
    )
    return record


def asked(connection: Connection, messages: list[str]) -> dict[str, Asked]:
    """Return what was asked for of messages, by their ids."""
    columns = hold_orders.c
    query = (
        select(
            columns.message_id,
            columns.verb,
            columns.asked_by,
            columns.asked_at,
            columns.due_at,
            columns.state,
            columns.note,
            nodes.c.name,
        )
        .join_from(hold_orders, nodes, nodes.c.id == columns.node)
        .where(columns.message_id.in_(messages))
    )
    return {row.message_id: Asked(*row) for row in connection.execute(query)}
