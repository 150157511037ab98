"""Reports that are to be forwarded to envelope senders."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "forwards",
        sa.Column("id", sa.String(21), nullable=False),
        sa.Column("node", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.String(21), nullable=False),
        sa.Column("account_id", sa.Integer(), server_default="0", nullable=False),
        sa.Column("address", sa.String(320), nullable=False),
        sa.Column("file", sa.String(64), nullable=False),
        sa.Column("kept_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("note", sa.String(500), server_default="", nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recipient", sa.String(320), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_forwards")),
    )
    op.create_index("ix_forwards_message_id", "forwards", ["message_id"])
    waits, sent = sa.text("state = 'open'"), sa.text("state = 'sent'")
    op.create_index(
        "ix_forwards_node", "forwards", ["node", "due_at"], sqlite_where=waits, postgresql_where=waits
    )
    op.create_index(
        "ix_forwards_turn",
        "forwards",
        ["node", "account_id", "message_id", "due_at"],
        sqlite_where=waits,
        postgresql_where=waits,
    )
    for column in ("account_id", "recipient", "message_id"):
        op.create_index(
            f"ix_forwards_sent_{column}",
            "forwards",
            [column, "done_at"],
            sqlite_where=sent,
            postgresql_where=sent,
        )
    done = sa.text("state != 'open'")
    op.create_index("ix_forwards_done_at", "forwards", ["done_at"], sqlite_where=done, postgresql_where=done)


def downgrade() -> None:
    """Undo: what waits is not forwarded any more; the events stay."""
    op.drop_table("forwards")
