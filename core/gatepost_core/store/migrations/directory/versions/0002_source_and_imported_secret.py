"""Where a credential's password is known, and a hash imported from another system."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""

    op.add_column(
        "credentials",
        sa.Column("source", sa.String(length=8), nullable=False, server_default="store"),
    )
    op.add_column("credentials", sa.Column("imported_hash", sa.Text(), nullable=True))
    op.add_column("credentials", sa.Column("imported_expires_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Undo."""

    op.drop_column("credentials", "imported_expires_at")
    op.drop_column("credentials", "imported_hash")
    op.drop_column("credentials", "source")
