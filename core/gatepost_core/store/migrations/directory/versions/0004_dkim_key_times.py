"""When a DKIM key begins to sign, and until when it stays published."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""

    op.add_column("dkim_keys", sa.Column("activates_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("dkim_keys", sa.Column("retires_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Undo."""

    op.drop_column("dkim_keys", "retires_at")
    op.drop_column("dkim_keys", "activates_at")
