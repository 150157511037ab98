"""The tables, once: directory (changes rarely, read through a cache) and journal (every message).

Alembic's migrations create them; a test holds the two alike. Nothing is SQLite's alone. Times are UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
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


directory, journal = MetaData(naming_convention=NAMING), MetaData(naming_convention=NAMING)

accounts = Table(
    "accounts",
    directory,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False),
    # Bytes of hosted images; without one the setting's counts.
    Column("image_quota", BigInteger),
    # Days that messages and their events are kept (0: for good); without them the setting's count.
    Column("keep_days", Integer),
    # Limits as texts, of all its credentials together; without a list the setting's.
    Column("limits", JSON(none_as_null=True)),
    # In which its calendar windows begin; without one the setting's.
    Column("time_zone", String(64)),
    # Of its credentials that have no such rule of their own.
    Column("rules", JSON(none_as_null=True)),
    # The way out of its credentials' mail (settings.routes); without one the usual one.
    Column("route", String(32)),
    # When its credentials are warned and suspended; without one as the settings say.
    Column("suspension", JSON(none_as_null=True)),
    # What it hears of reports about its mail (domain.model.Bounces); without one events.
    Column("bounces", String(8)),
)
_OWN = accounts.c.suspension.is_not(None)
Index("ix_accounts_suspension", accounts.c.id, sqlite_where=_OWN, postgresql_where=_OWN)

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
    # Limits as texts; without a list the setting's.
    Column("limits", JSON(none_as_null=True)),
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

# Whom an account's mail is not to reach. One that was lifted stays, so that what had happened before does not
# bring it back. No foreign key to credentials: an opt-out outlives the credential that sent.
suppressions = Table(
    "suppressions",
    directory,
    # Its own, in the order of time, which lists are in.
    Column("id", String(21), primary_key=True),
    Column("account_id", ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    # In its one spelling (domain/suppressing.py): an address, a domain, *.domain, or '#' and a hash.
    Column("address", String(320), nullable=False),
    # A user name, '' for the whole account; a tag of its messages, '' for all of them.
    Column("credential", String(255), nullable=False, server_default=""),
    Column("tag", String(255), nullable=False, server_default=""),
    Column("reason", String(16), nullable=False),
    Column("since_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("removed_at", UtcDateTime),
    # The event that it comes from, and its message; '' where somebody entered it.
    Column("event_id", String(21), nullable=False, server_default=""),
    Column("message_id", String(21), nullable=False, server_default=""),
    Column("detail", String(300), nullable=False, server_default=""),
    UniqueConstraint("account_id", "address", "credential", "tag"),
    Index("ix_suppressions_account_id", "account_id", "id"),
)

# Reports that may suppress once our log shows that their recipient got the message.
waiting_reports = Table(
    "waiting_reports",
    directory,
    Column("event_id", String(21), primary_key=True),
    Column("message_id", String(21), nullable=False),
    Column("recipient", String(320), nullable=False),
    Column("kept_at", UtcDateTime, nullable=False),
)

# How far a reader of the journal's events is, of each node by its name.
event_positions = Table(
    "event_positions",
    directory,
    Column("reader", String(32), primary_key=True),
    Column("node", String(255), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
)

messages = Table(
    "messages",
    journal,
    # In the order of time, which every list of messages is in.
    Column("id", String(21), primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
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
    # Without one the row is of a release before the spool, and what is looked up of it is not indexed yet.
    Column("account_id", Integer),
    # The field Message-ID, with its brackets.
    Column("message_id", String(250), nullable=False, server_default=""),
    # The address in From, or else the envelope sender, in lower case.
    Column("from_address", String(320), nullable=False, server_default=""),
    # What became of it: accepted, or the worst of what became of its recipients.
    Column("status", String(16), nullable=False, server_default="accepted"),
    Index("ix_messages_username", "username", "id"),
    Index("ix_messages_account_id", "account_id", "id"),
)
_REFERRED = messages.c.message_id != ""
Index("ix_messages_message_id", messages.c.message_id, sqlite_where=_REFERRED, postgresql_where=_REFERRED)
_FROM = messages.c.from_address != ""
Index(
    "ix_messages_from_address",
    messages.c.from_address,
    messages.c.id,
    sqlite_where=_FROM,
    postgresql_where=_FROM,
)
# Most messages have the status that is left out, or one of few others.
_MOVED = messages.c.status != "accepted"
Index("ix_messages_status", messages.c.status, messages.c.id, sqlite_where=_MOVED, postgresql_where=_MOVED)

# A row for each recipient; the address is in lower case, and cut at 320 characters.
recipients = Table(
    "recipients",
    journal,
    Column("message_id", String(21), primary_key=True),
    Column("address", String(320), primary_key=True),
    Column("domain", String(253), nullable=False),
    # The newest of what became of it, and when.
    Column("state", String(16), nullable=False, server_default="accepted"),
    Column("state_at", UtcDateTime),
    # Of a failure what it means (domain.failures), and who told of the recipient: log, report, or both.
    Column("class", String(16), nullable=False, server_default=""),
    Column("sources", String(32), nullable=False, server_default=""),
    Index("ix_recipients_address", "address", "message_id"),
    Index("ix_recipients_domain", "domain", "message_id"),
    sqlite_with_rowid=False,
)

# The tags of messages, to find messages by them.
tags = Table(
    "tags",
    journal,
    Column("tag", String(255), primary_key=True),
    Column("message_id", String(21), primary_key=True),
    Index("ix_tags_message_id", "message_id"),
    sqlite_with_rowid=False,
)

# Nodes by number: their names would be in every event.
nodes = Table(
    "nodes",
    journal,
    Column("id", Integer, primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
)

# A node numbers its own events, in the order in which it commits them: whoever follows misses none. What is
# something else later, for those who follow, gets a new number, of the node that commits that.
events = Table(
    "events",
    journal,
    Column("node", Integer, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    # Its own id, in the order of time; of the event that a message was accepted, the message's.
    Column("id", String(21), nullable=False),
    Column("time", UtcDateTime, nullable=False),
    Column("type", String(32), nullable=False),
    Column("message_id", String(21), nullable=False),
    Column("recipient", Text, nullable=False),
    Column("credential_id", Integer, nullable=False),
    Column("account_id", Integer, nullable=False),
    Column("detail", JSON, nullable=False),
    # Of a reply that refused something to a client: what it ends in.
    Column("reference", String(8), nullable=False, server_default=""),
    UniqueConstraint("id"),
    Index("ix_events_type", "type", "id"),
    Index("ix_events_message_id", "message_id", "id"),
    sqlite_with_rowid=False,
)
_SAID = events.c.reference != ""
Index("ix_events_reference", events.c.reference, sqlite_where=_SAID, postgresql_where=_SAID)

# Events of messages that are not known yet; ``kept_at`` is when they were read.
pending_events = Table(
    "pending_events",
    journal,
    Column("id", String(21), primary_key=True),
    Column("message_id", String(21), nullable=False, index=True),
    Column("type", String(32), nullable=False),
    Column("recipient", Text, nullable=False),
    Column("time", UtcDateTime, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("kept_at", UtcDateTime, nullable=False, index=True),
)

# What happened, counted by the hour (hours since 1970): by ``kind`` credential, tag and domain (of
# recipients). A credential's keys of one hour are bounded; what goes beyond is counted under the key ''.
rollups = Table(
    "rollups",
    journal,
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("node", Integer, primary_key=True, autoincrement=False),
    Column("credential_id", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(16), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("type", String(32), primary_key=True),
    Column("account_id", Integer, nullable=False),
    # Events, and the recipients that they tell of: one, but of a message that was accepted all.
    Column("count", BigInteger, nullable=False),
    Column("recipients", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# How far a segment of a node's spool was taken; ``gone_at``: when it was used up there.
positions = Table(
    "positions",
    journal,
    Column("node", Integer, primary_key=True, autoincrement=False),
    Column("stream", String(32), primary_key=True),
    Column("segment", String(32), primary_key=True),
    Column("offset", BigInteger, nullable=False),
    Column("finished", Boolean, nullable=False),
    Column("gone_at", UtcDateTime),
    sqlite_with_rowid=False,
)

# How far each node has read its mail log, as its reader wrote it, and what was amiss.
log_positions = Table(
    "log_positions",
    journal,
    Column("node", Integer, primary_key=True, autoincrement=False),
    Column("position", Text, nullable=False),
    # When it was read, and the time of the last line of Postfix's.
    Column("read_at", UtcDateTime, nullable=False),
    Column("line_at", UtcDateTime),
    # Lines that must have been there and were not, since ever, and when that was noticed last.
    Column("lost", BigInteger, nullable=False, server_default="0"),
    Column("lost_at", UtcDateTime),
    # Messages before this id were looked for in the log: '' where none was yet.
    Column("traced_to", String(21), nullable=False, server_default=""),
)

# Queue ids that are in a node's queue, and what the reader of the log has to remember of them.
log_queue = Table(
    "log_queue",
    journal,
    Column("node", Integer, primary_key=True, autoincrement=False),
    Column("queue_id", String(32), primary_key=True),
    Column("state", Text, nullable=False),
    sqlite_with_rowid=False,
)

credential_usage = Table(
    "credential_usage",
    journal,
    Column("credential_id", Integer, primary_key=True, autoincrement=False),
    Column("last_used_at", UtcDateTime, nullable=False),
    Column("last_used_ip", String(45), nullable=False),
)
