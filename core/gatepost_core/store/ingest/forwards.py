"""Reports that are to be forwarded to the envelope senders of the messages that they are about."""

from __future__ import annotations

from sqlalchemy import Column, Connection, Index, Integer, String, Table, literal_column, select

from gatepost_core.store.schema import UtcDateTime, journal

# Rows stay for some days after they were settled: a report that comes once more is known by its id, and what
# an account was sent in an hour is counted here.
forwards = Table(
    "forwards",
    journal,
    # Made of the message and the report.
    Column("id", String(21), primary_key=True),
    # Where the report's file is.
    Column("node", Integer, nullable=False),
    Column("message_id", String(21), nullable=False, index=True),
    # 0 until the message is known.
    Column("account_id", Integer, nullable=False, server_default="0"),
    # The bounce address that the report was sent to.
    Column("address", String(320), nullable=False),
    Column("file", String(64), nullable=False),
    Column("kept_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    # open; sent; refused by Postfix; stopped: it may not be sent; late: it could not be for too long.
    Column("state", String(8), nullable=False),
    Column("note", String(500), nullable=False, server_default=""),
    Column("done_at", UtcDateTime),
    # Whom it was sent to, in lower case; '' before.
    Column("recipient", String(320), nullable=False, server_default=""),
)
_WAITS = forwards.c.state == literal_column("'open'")
_DONE = forwards.c.state != literal_column("'open'")
_SENT = forwards.c.state == literal_column("'sent'")
Index("ix_forwards_node", forwards.c.node, forwards.c.due_at, sqlite_where=_WAITS, postgresql_where=_WAITS)
# Turns: from account to account, and from message to message.
Index(
    "ix_forwards_turn",
    forwards.c.node,
    forwards.c.account_id,
    forwards.c.message_id,
    forwards.c.due_at,
    sqlite_where=_WAITS,
    postgresql_where=_WAITS,
)
# What was sent in an hour.
for _of in ("account_id", "recipient", "message_id"):
    Index(
        f"ix_forwards_sent_{_of}",
        forwards.c[_of],
        forwards.c.done_at,
        sqlite_where=_SENT,
        postgresql_where=_SENT,
    )
Index("ix_forwards_done_at", forwards.c.done_at, sqlite_where=_DONE, postgresql_where=_DONE)


def of_message(connection: Connection, number: str, most: int = 100) -> list[tuple[str, str, str]]:
    """Return the newest reports of a message: each one's file, state and note."""
    columns = forwards.c
    query = select(columns.file, columns.state, columns.note).where(columns.message_id == number)
    rows = connection.execute(query.order_by(columns.kept_at.desc(), columns.id).limit(most))
    return [(file, state, note) for file, state, note in rows]
