"""What is counted of senders, by which they are warned and suspended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "sender_counts",
        sa.Column("credential_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("since", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("bucket", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("recipients", sa.BigInteger(), nullable=False),
        sa.Column("bounces", sa.BigInteger(), nullable=False),
        sa.Column("complaints", sa.BigInteger(), nullable=False),
        sa.Column("fresh", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.String(21), nullable=False),
        sa.PrimaryKeyConstraint("credential_id", "since", "bucket", name="pk_sender_counts"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_sender_counts_bucket", "sender_counts", ["bucket"])
    op.create_table(
        "sender_reports",
        sa.Column("credential_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("since", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("recipient", sa.String(320), nullable=False),
        sa.Column("cause", sa.String(32), nullable=False),
        sa.Column("bucket", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("credential_id", "since", "recipient", "cause", name="pk_sender_reports"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_sender_reports_bucket", "sender_reports", ["bucket"])
    op.create_table(
        "sender_positions",
        sa.Column("node", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("node", name="pk_sender_positions"),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("sender_positions")
    op.drop_table("sender_reports")
    op.drop_table("sender_counts")
