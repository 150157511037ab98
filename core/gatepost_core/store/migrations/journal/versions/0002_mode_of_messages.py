"""Mode of messages: delivered, or recorded and discarded."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("messages") as table:
        table.add_column(sa.Column("mode", sa.String(length=16), server_default="live", nullable=False))


def downgrade() -> None:
    """Undo."""
    with op.batch_alter_table("messages") as table:
        table.drop_column("mode")
