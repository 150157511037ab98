"""What an account hears of reports about its mail.

The release before does not read the column: it forwards none, and sends all to webhooks.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("accounts", sa.Column("bounces", sa.String(8), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("accounts", "bounces")
