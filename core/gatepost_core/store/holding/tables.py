"""The tables of held messages."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table

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
