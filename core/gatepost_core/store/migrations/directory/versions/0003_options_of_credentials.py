"""Options of credentials: overrides, signed mail, header fields."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("credentials") as table:
        table.add_column(sa.Column("options", sa.JSON(), server_default="{}", nullable=False))


def downgrade() -> None:
    """Undo."""
    with op.batch_alter_table("credentials") as table:
        table.drop_column("options")
