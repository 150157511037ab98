"""Which messages are held. The release before does not know the mode, and calls such messages live."""

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
        "holdings",
        sa.Column("message_id", sa.String(21), nullable=False),
        sa.Column("node", sa.Integer(), nullable=False),
        sa.Column("since_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_holdings")),
    )
    still = sa.text("ended_at IS NULL")
    op.create_index(
        op.f("ix_holdings_message_id"), "holdings", ["message_id"], sqlite_where=still, postgresql_where=still
    )


def downgrade() -> None:
    """Undo: the mail log tells that release what becomes of them."""
    op.drop_table("holdings")
    op.execute("UPDATE messages SET mode = 'live' WHERE mode = 'hold'")
