"""Events, hourly counts, positions in the spool, and what messages are found by.

The release before goes on writing rows of messages meanwhile: each new column has a default, or may be NULL.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_PARTIAL = {
    "message_id": (["message_id"], "message_id != ''"),
    "from_address": (["from_address", "id"], "from_address != ''"),
    "status": (["status", "id"], "status != 'accepted'"),
}


def upgrade() -> None:
    """Apply."""
    _columns_of_messages()
    _what_messages_are_found_by()
    _events()
    _of_each_node()


def _columns_of_messages() -> None:
    op.add_column("messages", sa.Column("account_id", sa.Integer(), nullable=True))
    for name, size, default in (
        ("message_id", 250, ""),
        ("from_address", 320, ""),
        ("status", 16, "accepted"),
    ):
        op.add_column("messages", sa.Column(name, sa.String(size), server_default=default, nullable=False))
    op.create_index("ix_messages_account_id", "messages", ["account_id", "id"])
    for name, (columns, where) in _PARTIAL.items():
        condition = sa.text(where)
        op.create_index(
            f"ix_messages_{name}", "messages", columns, sqlite_where=condition, postgresql_where=condition
        )
    op.drop_index("ix_messages_created_at", "messages")  # ids are in the order of time as well


def _what_messages_are_found_by() -> None:
    op.create_table(
        "recipients",
        sa.Column("message_id", sa.String(21), nullable=False),
        sa.Column("address", sa.String(320), nullable=False),
        sa.Column("domain", sa.String(253), nullable=False),
        sa.Column("state", sa.String(16), server_default="accepted", nullable=False),
        sa.Column("state_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("message_id", "address", name=op.f("pk_recipients")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_recipients_address", "recipients", ["address", "message_id"])
    op.create_index("ix_recipients_domain", "recipients", ["domain", "message_id"])
    op.create_table(
        "tags",
        sa.Column("tag", sa.String(255), nullable=False),
        sa.Column("message_id", sa.String(21), nullable=False),
        sa.PrimaryKeyConstraint("tag", "message_id", name=op.f("pk_tags")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_tags_message_id", "tags", ["message_id"])


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("node", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.String(21), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("message_id", sa.String(21), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("node", "sequence", name=op.f("pk_events")),
        sa.UniqueConstraint("id", name=op.f("uq_events_id")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_events_type", "events", ["type", "id"])
    op.create_index("ix_events_message_id", "events", ["message_id", "id"])
    op.create_table(
        "pending_events",
        sa.Column("id", sa.String(21), nullable=False),
        sa.Column("message_id", sa.String(21), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("kept_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pending_events")),
    )
    op.create_index(op.f("ix_pending_events_message_id"), "pending_events", ["message_id"])
    op.create_index(op.f("ix_pending_events_kept_at"), "pending_events", ["kept_at"])


def _of_each_node() -> None:
    op.create_table(
        "nodes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nodes")),
        sa.UniqueConstraint("name", name=op.f("uq_nodes_name")),
    )
    op.create_table(
        "rollups",
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("node", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("credential_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("recipients", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "hour", "node", "credential_id", "kind", "key", "type", name=op.f("pk_rollups")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "positions",
        sa.Column("node", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("stream", sa.String(32), nullable=False),
        sa.Column("segment", sa.String(32), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("finished", sa.Boolean(), nullable=False),
        sa.Column("gone_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("node", "stream", "segment", name=op.f("pk_positions")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Undo: events, counts and positions are lost; each message keeps its row."""
    for name in ("positions", "rollups", "nodes", "pending_events", "events", "tags", "recipients"):
        op.drop_table(name)
    op.create_index("ix_messages_created_at", "messages", ["created_at"])
    for name in ("account_id", *_PARTIAL):
        op.drop_index(f"ix_messages_{name}", "messages")
        op.drop_column("messages", name)
