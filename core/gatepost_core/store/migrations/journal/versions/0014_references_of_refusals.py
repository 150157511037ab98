"""By which reference a refusal is found that a client heard of.

The release before does not write the column.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("events", sa.Column("reference", sa.String(8), server_default="", nullable=False))
    some = sa.text("reference != ''")
    op.create_index("ix_events_reference", "events", ["reference"], sqlite_where=some, postgresql_where=some)


def downgrade() -> None:
    """Undo: the events stay, and nothing finds them by their references."""
    op.drop_index("ix_events_reference", "events")
    op.drop_column("events", "reference")
