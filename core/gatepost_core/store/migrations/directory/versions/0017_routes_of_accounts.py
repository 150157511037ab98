"""The way out of an account's mail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("accounts", sa.Column("route", sa.String(32), nullable=True))


def downgrade() -> None:
    """Undo: the release before sends such mail the usual way."""
    op.drop_column("accounts", "route")
