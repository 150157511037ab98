"""Of each recipient, what a failure means, and who told what became of it.

The release before writes rows of recipients meanwhile: both columns have a default.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("recipients", sa.Column("class", sa.String(16), server_default="", nullable=False))
    op.add_column("recipients", sa.Column("sources", sa.String(32), server_default="", nullable=False))


def downgrade() -> None:
    """Undo: the state of each recipient stays."""
    for name in ("class", "sources"):
        op.drop_column("recipients", name)
