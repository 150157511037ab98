"""How far each node has read its mail log, and what it remembers of the queue.

The release before knows neither table, and does not write what they are about.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "log_positions",
        sa.Column("node", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Text(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("line_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lost", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lost_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("node", name=op.f("pk_log_positions")),
    )
    op.create_table(
        "log_queue",
        sa.Column("node", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("queue_id", sa.String(32), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("node", "queue_id", name=op.f("pk_log_queue")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Undo: the log is read anew; each event stays."""
    for name in ("log_queue", "log_positions"):
        op.drop_table(name)
