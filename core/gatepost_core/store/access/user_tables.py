"""Tables of the directory: users of the dashboard, their second factors, and their sessions."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from gatepost_core.store.schema import UtcDateTime, directory

users = Table(
    "users",
    directory,
    Column("id", Integer, primary_key=True),
    Column("name", String(128), nullable=False, unique=True),
    Column("operator", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    # argon2id; none before one was chosen.
    Column("password_hash", Text),
    # Of the second factor; ``totp_step``: that of the last code that counted.
    Column("sealed_totp", LargeBinary),
    Column("totp_step", BigInteger, nullable=False, server_default="0"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime),
    # An id is never given again: sealed secrets and the audit log name it.
    sqlite_autoincrement=True,
)

user_roles = Table(
    "user_roles",
    directory,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("account_id", ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("role", String(16), nullable=False),
)

# By which somebody chooses a password, once; kept is SHA-256 of what the link ends in.
user_links = Table(
    "user_links",
    directory,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("ends_at", UtcDateTime, nullable=False),
)

user_recovery = Table(
    "user_recovery",
    directory,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("digest", LargeBinary(32), primary_key=True),
)

user_sessions = Table(
    "user_sessions",
    directory,
    Column("id", Integer, primary_key=True),
    # SHA-256 of what the cookie holds.
    Column("digest", LargeBinary(32), nullable=False),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    # False: the second factor is missing.
    Column("proven", Boolean, nullable=False),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("ip", String(64), nullable=False),
    Column("agent", String(200), nullable=False),
    # Which of several accounts the user looks at.
    Column("account", String(64), nullable=False, server_default=""),
    UniqueConstraint("digest"),
    sqlite_autoincrement=True,
)
