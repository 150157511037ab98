"""Mode of credentials: live, or sandbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("credentials") as table:
        table.add_column(sa.Column("mode", sa.String(length=16), server_default="live", nullable=False))


def downgrade() -> None:
    """Undo."""
    with op.batch_alter_table("credentials") as table:
        table.drop_column("mode")
