"""Asking for what is to be done with held messages. Functions on an open connection of the journal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from gatepost_core.domain import MessageRecord
from gatepost_core.domain.errors import StoreError, shown
from gatepost_core.domain.outcomes import BY_ITSELF, OPEN
from gatepost_core.store import messages as records
from gatepost_core.store.holding.tables import OPEN as HELD
from gatepost_core.store.holding.tables import hold_orders, holdings
from gatepost_core.store.schema import messages, nodes

# Of those that a name may mean, so many are told.
_NAMED_MOST: Final = 10


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

    It takes an earlier order's place. Raises NotFound, and StoreError for a message that is not held, or
    where several may be meant.
    """
    record, node, account = _held(connection, name)
    if by == BY_ITSELF:
        by = f"user {by}"
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
            account_id=account,
        )
    )
    return record


def _held(connection: Connection, name: str) -> tuple[MessageRecord, int, int]:
    """Return the one message that is held under a name, its node and its account.

    Senders choose a Message-ID: one that mail of several accounts has, or several held messages, names none.
    """
    for condition in records.named(name):
        of_it = select(messages.c.id, messages.c.username, messages.c.account_id, holdings.c.node)
        query = of_it.join(holdings, holdings.c.message_id == messages.c.id).where(condition, HELD)
        found = connection.execute(query.order_by(messages.c.id).limit(_NAMED_MOST)).all()
        if not found:
            continue
        others = select(messages.c.id).where(condition, messages.c.account_id != found[0].account_id)
        chosen = "@" in name and connection.execute(others.limit(1)).first() is not None
        if len(found) == 1 and not chosen:
            return records.get(connection, found[0].id), found[0].node, found[0].account_id or 0
        held = ", ".join(f"{row.id} ({row.username})" for row in found)
        raise StoreError(
            f"{shown(name)} names several messages; held of them: {held}; name one by its message id"
        )
    record = records.get(connection, name)
    raise StoreError(f"message {record.id} is not held; its status is {record.status}")


def asked(connection: Connection, numbers: list[str]) -> dict[str, Asked]:
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
        .where(columns.message_id.in_(numbers))
    )
    return {row.message_id: Asked(*row) for row in connection.execute(query)}
