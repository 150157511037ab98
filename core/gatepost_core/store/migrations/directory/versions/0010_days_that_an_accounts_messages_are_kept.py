"""Days that an account's messages are kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("accounts", sa.Column("keep_days", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("accounts", "keep_days")
