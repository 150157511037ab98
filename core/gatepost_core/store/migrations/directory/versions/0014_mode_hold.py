"""Mode hold of credentials.

The release before does not know it, and must not send what was to be held: there such credentials are off.
"""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing: the column takes the new mode."""


def downgrade() -> None:
    """Undo."""
    op.execute("UPDATE credentials SET state = 'disabled', mode = 'live' WHERE mode = 'hold'")
