"""The tables, once: directory (changes rarely, read through a cache) and journal (every message).

Alembic's migrations create them; a test holds the two alike. No type or constraint here is
SQLite's alone. Times are UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """A time zone aware datetime, kept in UTC: SQLite would drop the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware time into UTC. Raises ValueError for a naive one."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back that SQLite dropped."""
        del dialect
        if not isinstance(value, datetime) or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


directory = MetaData(naming_convention=NAMING)
journal = MetaData(naming_convention=NAMING)

accounts = Table(
    "accounts",
    directory,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False),
    # Bytes of hosted images; without one the setting's counts.
    Column("image_quota", BigInteger),
)

credentials = Table(
    "credentials",
    directory,
    Column("id", Integer, primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("username", String(255), nullable=False, unique=True),
    Column("label", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    Column("features", JSON, nullable=False),
    Column("rules", JSON, nullable=False),
    Column("options", JSON, nullable=False, server_default="{}"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    # Which back end knows the password: store, pam, ldap.
    Column("source", String(8), nullable=False, server_default="store"),
    # A password hash of another system (argon2id), beside the generated secrets.
    Column("imported_hash", Text),
    Column("imported_expires_at", UtcDateTime),
    # live, or sandbox: accepted and recorded, not delivered.
    Column("mode", String(16), nullable=False, server_default="live"),
)

secrets = Table(
    "secrets",
    directory,
    Column("id", Integer, primary_key=True),
    Column("credential_id", ForeignKey("credentials.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("key_id", String(1), nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("scram_salt", LargeBinary(64), nullable=False),
    Column("scram_iterations", Integer, nullable=False),
    Column("scram_stored_key", LargeBinary(32), nullable=False),
    Column("scram_server_key", LargeBinary(32), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
)

sender_domains = Table(
    "sender_domains",
    directory,
    Column("id", Integer, primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("name", String(253), nullable=False, unique=True),
    Column("click_domain", String(253), nullable=False, index=True),
    Column("bounce_domain", String(253), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
)

# Hosts of rewritten links. Retired ones are no click domain any more, but links in sent mail lead there.
click_hosts = Table(
    "click_hosts",
    directory,
    Column("id", Integer, primary_key=True),
    Column("host", String(253), nullable=False, unique=True),
    Column("account_id", ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("retired_at", UtcDateTime),
)

dkim_keys = Table(
    "dkim_keys",
    directory,
    Column("id", Integer, primary_key=True),
    Column("domain_id", ForeignKey("sender_domains.id", ondelete="CASCADE"), nullable=False),
    Column("selector", String(63), nullable=False),
    Column("algorithm", String(16), nullable=False),
    Column("public", Text, nullable=False),
    Column("sealed_private", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("activates_at", UtcDateTime),
    Column("retires_at", UtcDateTime),
    UniqueConstraint("domain_id", "selector"),
)

domain_grants = Table(
    "domain_grants",
    directory,
    Column("id", Integer, primary_key=True),
    # No foreign key: the gateway's own names, which are in the settings, can be granted too.
    Column("name", String(253), nullable=False),
    Column("account_id", ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("name", "account_id"),
)

# What the store itself says of how it is to be used: ``walls``.
store_facts = Table(
    "store_facts",
    directory,
    Column("name", String(64), primary_key=True),
    Column("value", String(255), nullable=False),
)

messages = Table(
    "messages",
    journal,
    Column("id", String(21), primary_key=True),
    Column("created_at", UtcDateTime, nullable=False, index=True),
    # No foreign key: the credential is in the other database, and its messages outlive it.
    Column("credential_id", Integer, nullable=False),
    Column("username", String(255), nullable=False),
    Column("queue_id", String(32), nullable=False, index=True),
    Column("sender", Text, nullable=False),
    Column("recipients", JSON, nullable=False),
    Column("header_from", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("size_after", BigInteger, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("features", JSON, nullable=False),
    Column("applied", JSON, nullable=False),
    Column("skipped", JSON, nullable=False),
    Column("seconds", JSON, nullable=False),
    Column("mode", String(16), nullable=False, server_default="live"),
    Column("metadata", JSON, nullable=False, server_default="{}"),
    # Ids are in the order of time.
    Index("ix_messages_username", "username", "id"),
)

credential_usage = Table(
    "credential_usage",
    journal,
    Column("credential_id", Integer, primary_key=True, autoincrement=False),
    Column("last_used_at", UtcDateTime, nullable=False),
    Column("last_used_ip", String(45), nullable=False),
)
