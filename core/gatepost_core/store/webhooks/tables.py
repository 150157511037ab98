"""The tables of webhooks. In the journal an endpoint goes by its handle, which is never given twice."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from gatepost_core.store.schema import UtcDateTime, directory, journal

HANDLE = String(16)
_SENT = text("sender != ''")

webhooks = Table(
    "webhooks",
    directory,
    Column("id", Integer, primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("handle", HANDLE, nullable=False, unique=True),
    Column("url", Text, nullable=False),
    Column("label", String(255), nullable=False),
    # Types of events; an empty list means all.
    Column("types", JSON, nullable=False),
    # active, or off: by hand, or by itself after failing for days; then reason and time say so.
    Column("state", String(16), nullable=False),
    Column("off_reason", String(500), nullable=False, server_default=""),
    Column("off_at", UtcDateTime),
    # An operator allowed it addresses that are not public, and plain HTTP.
    Column("allow_private", Boolean, nullable=False, server_default="0"),
    Column("created_at", UtcDateTime, nullable=False),
    # What was noted before is not sent by itself: when it was made, or enabled.
    Column("since", UtcDateTime, nullable=False),
)

# Two of an endpoint while one takes the place of the other.
webhook_secrets = Table(
    "webhook_secrets",
    directory,
    Column("id", Integer, primary_key=True),
    Column("webhook_id", ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
)

# How an endpoint fares, and how many events wait for it.
webhook_endpoints = Table(
    "webhook_endpoints",
    journal,
    Column("endpoint", HANDLE, primary_key=True),
    Column("since", UtcDateTime, nullable=False),
    Column("waiting", Integer, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("failing_since", UtcDateTime),
    Column("last_at", UtcDateTime),
    Column("last_ok_at", UtcDateTime),
    Column("last_answer", String(500), nullable=False, server_default=""),
)

# How far the events of a node were looked at: for all ('') and for an endpoint that is not that far.
webhook_positions = Table(
    "webhook_positions",
    journal,
    Column("endpoint", HANDLE, primary_key=True),
    Column("node", Integer, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# What is to be sent, in its order. ``ready_at``: when it may be tried; none while an earlier one of its
# message waits. ``sender``: the node that sends it now; ``ready_at`` is then the end of its lease.
webhook_outbox = Table(
    "webhook_outbox",
    journal,
    Column("id", Integer, primary_key=True),
    Column("endpoint", HANDLE, nullable=False),
    Column("event_id", String(21), nullable=False),
    Column("message_id", String(21), nullable=False),
    # Of a test, what is sent; of an event, nothing: it is read when it is sent.
    Column("payload", Text),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("noted_at", UtcDateTime, nullable=False),
    Column("ready_at", UtcDateTime),
    Column("sender", String(255), nullable=False, server_default=""),
    Column("last_answer", String(500), nullable=False, server_default=""),
    UniqueConstraint("endpoint", "event_id"),
    Index("ix_webhook_outbox_ready", "endpoint", "ready_at"),
    Index("ix_webhook_outbox_message", "endpoint", "message_id", "id"),
    Index("ix_webhook_outbox_sender", "sender", sqlite_where=_SENT, postgresql_where=_SENT),
    sqlite_autoincrement=True,
)

webhook_attempts = Table(
    "webhook_attempts",
    journal,
    Column("id", Integer, primary_key=True),
    Column("endpoint", HANDLE, nullable=False),
    Column("event_id", String(21), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("ok", Boolean, nullable=False),
    # Of HTTP; 0 where none came.
    Column("status", Integer, nullable=False),
    Column("answer", String(500), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("next_at", UtcDateTime),
    Index("ix_webhook_attempts_endpoint", "endpoint", "id"),
    Index("ix_webhook_attempts_event_id", "event_id"),
)

# What was given up.
webhook_dead = Table(
    "webhook_dead",
    journal,
    Column("id", Integer, primary_key=True),
    Column("endpoint", HANDLE, nullable=False),
    Column("event_id", String(21), nullable=False),
    Column("message_id", String(21), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("died_at", UtcDateTime, nullable=False),
    Column("reason", String(500), nullable=False),
    UniqueConstraint("endpoint", "event_id"),
    Index("ix_webhook_dead_endpoint", "endpoint", "id"),
)
