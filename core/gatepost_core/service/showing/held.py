"""What was asked for of a held message, for who sees the message."""

from __future__ import annotations

from gatepost_core.domain import MessageRecord
from gatepost_core.service.context import Context
from gatepost_core.service.messages import KIND
from gatepost_core.store.holding import orders
from gatepost_core.store.holding.orders import Asked


def asked(context: Context, record: MessageRecord) -> Asked | None:
    """Return what was asked for last, None for nothing. ``record`` is what the actor was shown."""
    context.need(KIND, write=False)
    with context.store.journal() as connection:
        return orders.asked(connection, [record.id]).get(record.id)
