"""The tables of held messages."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table, literal_column

from gatepost_core.domain.outcomes import BY_ITSELF
from gatepost_core.store.schema import UtcDateTime, journal

# Messages that were held, each by its node; without ``ended_at`` it still is.
holdings = Table(
    "holdings",
    journal,
    Column("message_id", String(21), primary_key=True),
    Column("node", Integer, nullable=False),
    Column("since_at", UtcDateTime, nullable=False),
    Column("reason", String(500), nullable=False),
    Column("ended_at", UtcDateTime),
)
OPEN = holdings.c.ended_at.is_(None)
Index("ix_holdings_message_id", holdings.c.message_id, sqlite_where=OPEN, postgresql_where=OPEN)

# What is to be done with a held message, by whom it was asked for, and what came of it.
hold_orders = Table(
    "hold_orders",
    journal,
    Column("message_id", String(21), primary_key=True),
    # That of the message, which carries it out.
    Column("node", Integer, nullable=False),
    # release, or drop.
    Column("verb", String(8), nullable=False),
    Column("asked_by", String(255), nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    # open; done; stays: it may not be sent, and stays held; gone: it was not held any more.
    Column("state", String(8), nullable=False),
    # Why it stays held, or could not be done yet.
    Column("note", String(500), nullable=False, server_default=""),
    Column("done_at", UtcDateTime),
    # Whose message it is, so that accounts take turns. 0: the release before this column wrote the order.
    Column("account_id", Integer, nullable=False, server_default="0"),
)
WAITS = hold_orders.c.state == literal_column("'open'")
Index(
    "ix_hold_orders_node",
    hold_orders.c.node,
    hold_orders.c.due_at,
    sqlite_where=WAITS,
    postgresql_where=WAITS,
)
_ASKED = WAITS & (hold_orders.c.asked_by != literal_column(f"'{BY_ITSELF}'"))
_BY_ITSELF = WAITS & (hold_orders.c.asked_by == literal_column(f"'{BY_ITSELF}'"))
for _name, _whose in (("asked", _ASKED), ("by_itself", _BY_ITSELF)):
    Index(
        f"ix_hold_orders_{_name}",
        hold_orders.c.node,
        hold_orders.c.verb,
        hold_orders.c.account_id,
        hold_orders.c.due_at,
        sqlite_where=_whose,
        postgresql_where=_whose,
    )
