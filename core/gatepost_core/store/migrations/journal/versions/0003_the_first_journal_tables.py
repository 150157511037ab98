"""The first journal tables.

One migration took the place of those that led here before the first release; it has the number of the last
one, so that databases that those made go on from it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""

    op.create_table(
        "credential_usage",
        sa.Column("credential_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_ip", sa.String(length=45), nullable=False),
        sa.PrimaryKeyConstraint("credential_id", name=op.f("pk_credential_usage")),
    )
    op.create_table(
        "messages",
        sa.Column("id", sa.String(length=21), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("credential_id", sa.Integer(), nullable=False),
        sa.Column("username", sa.String(length=255), nullable=False),
        sa.Column("queue_id", sa.String(length=32), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("recipients", sa.JSON(), nullable=False),
        sa.Column("header_from", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("size_after", sa.BigInteger(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("features", sa.JSON(), nullable=False),
        sa.Column("applied", sa.JSON(), nullable=False),
        sa.Column("skipped", sa.JSON(), nullable=False),
        sa.Column("seconds", sa.JSON(), nullable=False),
        sa.Column("mode", sa.String(length=16), server_default="live", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
    )
    op.create_index(op.f("ix_messages_created_at"), "messages", ["created_at"], unique=False)
    op.create_index(op.f("ix_messages_queue_id"), "messages", ["queue_id"], unique=False)
    op.create_index("ix_messages_username", "messages", ["username", "id"])


def downgrade() -> None:
    """Undo."""

    op.drop_table("messages")
    op.drop_table("credential_usage")
