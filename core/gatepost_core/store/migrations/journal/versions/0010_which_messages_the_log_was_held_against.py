"""Up to which message the mail log has been held against the records.

The release before does not write the column.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("log_positions", sa.Column("traced_to", sa.String(21), server_default="", nullable=False))


def downgrade() -> None:
    """Undo: the next look begins anew."""
    op.drop_column("log_positions", "traced_to")
