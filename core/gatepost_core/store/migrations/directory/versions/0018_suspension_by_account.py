"""When an account's credentials are warned and suspended.

The release before goes by the settings alone.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("accounts", sa.Column("suspension", sa.JSON(none_as_null=True), nullable=True))
    some = sa.text("suspension IS NOT NULL")
    op.create_index("ix_accounts_suspension", "accounts", ["id"], sqlite_where=some, postgresql_where=some)


def downgrade() -> None:
    """Undo: what accounts have of their own is lost."""
    op.drop_index("ix_accounts_suspension", "accounts")
    op.drop_column("accounts", "suspension")
