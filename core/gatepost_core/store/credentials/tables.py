"""Tables: warnings and suspensions in the directory, what is counted in the journal."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
)

from gatepost_core.store.schema import UtcDateTime, directory, journal

# Each warning and suspension of a credential; one that was lifted stays, and says by whom.
suspensions = Table(
    "suspensions",
    directory,
    Column("id", Integer, primary_key=True),
    Column("credential_id", ForeignKey("credentials.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("cause", String(32), nullable=False),
    Column("action", String(16), nullable=False),
    Column("noted_at", UtcDateTime, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("recipients", BigInteger, nullable=False),
    Column("hours", Integer, nullable=False),
    Column("most", Float, nullable=False),
    Column("message_id", String(21), nullable=False, server_default=""),
    # The event that tells of it, which the journal may not have yet.
    Column("event_id", String(21), nullable=False),
    Column("told", Boolean, nullable=False),
    Column("lifted_at", UtcDateTime),
    Column("lifted_by", String(160), nullable=False, server_default=""),
    UniqueConstraint("event_id"),
)
_UNTOLD = ~suspensions.c.told
Index("ix_suspensions_told", suspensions.c.told, sqlite_where=_UNTOLD, postgresql_where=_UNTOLD)

# Of a credential what a bucket of time has (domain.limits.suspending), of live messages.
sender_counts = Table(
    "sender_counts",
    journal,
    Column("credential_id", Integer, primary_key=True, autoincrement=False),
    # When it was made, or a suspension lifted, in milliseconds since 1970: what was before is another matter.
    Column("since", BigInteger, primary_key=True, autoincrement=False),
    # Its beginning, in seconds since 1970.
    Column("bucket", BigInteger, primary_key=True, autoincrement=False),
    Column("recipients", BigInteger, nullable=False),
    Column("bounces", BigInteger, nullable=False),
    Column("complaints", BigInteger, nullable=False),
    Column("fresh", BigInteger, nullable=False),
    # The last message that was more than a recipient.
    Column("message_id", String(21), nullable=False),
    Index("ix_sender_counts_bucket", "bucket"),
    sqlite_with_rowid=False,
)

# Who has reported about a credential: each counts once.
sender_reports = Table(
    "sender_reports",
    journal,
    Column("credential_id", Integer, primary_key=True, autoincrement=False),
    Column("since", BigInteger, primary_key=True, autoincrement=False),
    Column("recipient", String(320), primary_key=True),
    Column("cause", String(32), primary_key=True),
    Column("bucket", BigInteger, nullable=False),
    Index("ix_sender_reports_bucket", "bucket"),
    sqlite_with_rowid=False,
)

# How far events are counted, of each node.
sender_positions = Table(
    "sender_positions",
    journal,
    Column("node", Integer, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
)
