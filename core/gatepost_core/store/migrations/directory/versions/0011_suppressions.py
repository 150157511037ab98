"""Whom an account's mail is not to reach, and how far the events are read that say so."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "suppressions",
        sa.Column("id", sa.String(21), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("address", sa.String(320), nullable=False),
        sa.Column("credential", sa.String(255), server_default="", nullable=False),
        sa.Column("tag", sa.String(255), server_default="", nullable=False),
        sa.Column("reason", sa.String(16), nullable=False),
        sa.Column("since_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("event_id", sa.String(21), server_default="", nullable=False),
        sa.Column("message_id", sa.String(21), server_default="", nullable=False),
        sa.Column("detail", sa.String(300), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_suppressions_account_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppressions")),
        sa.UniqueConstraint(
            "account_id", "address", "credential", "tag", name=op.f("uq_suppressions_account_id")
        ),
    )
    op.create_index("ix_suppressions_account_id", "suppressions", ["account_id", "id"])
    op.create_table(
        "waiting_reports",
        sa.Column("event_id", sa.String(21), nullable=False),
        sa.Column("message_id", sa.String(21), nullable=False),
        sa.Column("recipient", sa.String(320), nullable=False),
        sa.Column("kept_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_waiting_reports")),
    )
    op.create_table(
        "event_positions",
        sa.Column("reader", sa.String(32), nullable=False),
        sa.Column("node", sa.String(255), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("reader", "node", name=op.f("pk_event_positions")),
    )


def downgrade() -> None:
    """Undo."""
    for table in ("event_positions", "waiting_reports", "suppressions"):
        op.drop_table(table)
