"""Limits of credentials and of accounts, and the time zone in which an account's days begin."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("accounts", sa.Column("limits", sa.JSON(), nullable=True))
    op.add_column("accounts", sa.Column("time_zone", sa.String(64), nullable=True))
    op.add_column("credentials", sa.Column("limits", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("credentials", "limits")
    op.drop_column("accounts", "time_zone")
    op.drop_column("accounts", "limits")
