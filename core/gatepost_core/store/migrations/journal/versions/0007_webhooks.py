"""What is to be sent to webhooks, what was, and what was given up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0005"
branch_labels = None
depends_on = None

_SENT = sa.text("sender != ''")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "webhook_endpoints",
        sa.Column("endpoint", sa.String(16), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("waiting", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_ok_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_answer", sa.String(500), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("endpoint", name=op.f("pk_webhook_endpoints")),
    )
    op.create_table(
        "webhook_positions",
        sa.Column("endpoint", sa.String(16), nullable=False),
        sa.Column("node", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("endpoint", "node", name=op.f("pk_webhook_positions")),
        sqlite_with_rowid=False,
    )
    _outbox()
    op.create_table(
        "webhook_attempts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("endpoint", sa.String(16), nullable=False),
        sa.Column("event_id", sa.String(21), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ok", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("answer", sa.String(500), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_attempts")),
    )
    op.create_index("ix_webhook_attempts_endpoint", "webhook_attempts", ["endpoint", "id"])
    op.create_index("ix_webhook_attempts_event_id", "webhook_attempts", ["event_id"])
    op.create_table(
        "webhook_dead",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("endpoint", sa.String(16), nullable=False),
        sa.Column("event_id", sa.String(21), nullable=False),
        sa.Column("message_id", sa.String(21), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("died_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_dead")),
        sa.UniqueConstraint("endpoint", "event_id", name=op.f("uq_webhook_dead_endpoint")),
    )
    op.create_index("ix_webhook_dead_endpoint", "webhook_dead", ["endpoint", "id"])


def _outbox() -> None:
    op.create_table(
        "webhook_outbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("endpoint", sa.String(16), nullable=False),
        sa.Column("event_id", sa.String(21), nullable=False),
        sa.Column("message_id", sa.String(21), nullable=False),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ready_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sender", sa.String(255), server_default="", nullable=False),
        sa.Column("last_answer", sa.String(500), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_outbox")),
        sa.UniqueConstraint("endpoint", "event_id", name=op.f("uq_webhook_outbox_endpoint")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_webhook_outbox_ready", "webhook_outbox", ["endpoint", "ready_at"])
    op.create_index("ix_webhook_outbox_message", "webhook_outbox", ["endpoint", "message_id", "id"])
    op.create_index(
        "ix_webhook_outbox_sender",
        "webhook_outbox",
        ["sender"],
        sqlite_where=_SENT,
        postgresql_where=_SENT,
    )


def downgrade() -> None:
    """Undo: what waits to be sent, and what tells of it, is lost."""
    for name in ("dead", "attempts", "outbox", "positions", "endpoints"):
        op.drop_table(f"webhook_{name}")
