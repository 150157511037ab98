"""What is to be done with held messages: released or dropped, by their nodes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "hold_orders",
        sa.Column("message_id", sa.String(21), nullable=False),
        sa.Column("node", sa.Integer(), nullable=False),
        sa.Column("verb", sa.String(8), nullable=False),
        sa.Column("asked_by", sa.String(255), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("note", sa.String(500), server_default="", nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_hold_orders")),
    )
    waits = sa.text("state = 'open'")
    op.create_index(
        op.f("ix_hold_orders_node"),
        "hold_orders",
        ["node", "due_at"],
        sqlite_where=waits,
        postgresql_where=waits,
    )


def downgrade() -> None:
    """Undo: what is held stays so, and is released by hand."""
    op.drop_table("hold_orders")
