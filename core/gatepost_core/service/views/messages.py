"""Messages, their recipients and what was asked for of held ones as plain values; events have their own."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any, Final

from gatepost_core.domain import MessageRecord, stamp
from gatepost_core.store.holding.held import Held
from gatepost_core.store.holding.orders import Asked
from gatepost_core.store.messages import Recipient

_FIELDS: Final = tuple(field.name for field in fields(MessageRecord))


def message_data(record: MessageRecord) -> dict[str, Any]:
    """Return what is recorded of a message."""
    return {name: getattr(record, name) for name in _FIELDS} | {"created_at": stamp(record.created_at)}


def recipient_data(one: Recipient) -> dict[str, Any]:
    """Return what became of a recipient."""
    return {
        "recipient": one.address,
        "state": one.state,
        "since": _stamp(one.since),
        "class": one.failure,
        "sources": list(one.sources),
    }


def held_data(one: Held) -> dict[str, Any]:
    """Return a message in the hold queue."""
    record = one.record
    return {
        "id": record.id,
        "queue_id": record.queue_id,
        "since": stamp(one.since),
        "reason": one.reason,
        "credential": record.username,
        "sender": record.sender,
        "recipients": list(record.recipients),
        "subject": record.subject,
        "size": record.size,
        "asked": None if one.asked is None else order_data(one.asked),
    }


def order_data(one: Asked) -> dict[str, Any]:
    """Return what was asked for of a held message, and what came of it so far."""
    return {
        "id": one.message,
        "verb": one.verb,
        "by": one.by,
        "at": stamp(one.at),
        "due": stamp(one.due),
        "state": one.state,
        "reason": one.note,
        "node": one.node,
    }


def _stamp(time: datetime | None) -> str | None:
    return None if time is None else stamp(time)
