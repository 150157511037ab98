"""Tables: API tokens, the audit log, idempotency keys of the API."""

from __future__ import annotations

from sqlalchemy import JSON, Column, ForeignKey, Index, LargeBinary, String, Table, UniqueConstraint

from gatepost_core.store.schema import UtcDateTime, directory

tokens = Table(
    "tokens",
    directory,
    # In the order of time, which lists are in; never given twice.
    Column("id", String(21), primary_key=True),
    Column("name", String(255), nullable=False),
    # Whose it is; none: an operator's.
    Column("account_id", ForeignKey("accounts.id", ondelete="CASCADE"), index=True),
    # HMAC-SHA-256 under a key of the key directory.
    Column("key_id", String(1), nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("networks", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(255), nullable=False),
    Column("expires_at", UtcDateTime),
    # To the hour: each commit to the directory has the daemons read anew what they had cached.
    Column("last_used_at", UtcDateTime),
    Column("last_used_ip", String(45), nullable=False, server_default=""),
    UniqueConstraint("digest"),
)

# Written with each change, in its transaction. Names, no foreign keys: it outlives what it tells of.
audit = Table(
    "audit",
    directory,
    # Its own, which has the time.
    Column("id", String(21), primary_key=True),
    Column("actor_kind", String(8), nullable=False),
    Column("actor_id", String(64), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("address", String(45), nullable=False),
    # Whose object it was; '' for the gateway's own.
    Column("account", String(64), nullable=False),
    Column("action", String(48), nullable=False),
    Column("object", String(320), nullable=False),
    # What of it changed, without any secret.
    Column("before", JSON(none_as_null=True)),
    Column("after", JSON(none_as_null=True)),
    Index("ix_audit_account", "account", "id"),
)

# What was asked for with a key, by whom: kept for a day.
idempotency_keys = Table(
    "idempotency_keys",
    directory,
    Column("actor", String(72), primary_key=True),
    Column("key", String(255), primary_key=True),
    # Of what was asked for, and of the thing that was made, where it is.
    Column("digest", LargeBinary(32), nullable=False),
    Column("location", String(1024), nullable=False),
    Column("made_at", UtcDateTime, nullable=False, index=True),
    sqlite_with_rowid=False,
)
