"""Whose message an order about a held one is about, so that accounts take turns without all being read.

The release before does not write the column: its orders are all of account 0 then, which has its turns too.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_INDEXES = {
    "asked": "state = 'open' AND asked_by != 'schedule'",
    "by_itself": "state = 'open' AND asked_by = 'schedule'",
}


def upgrade() -> None:
    """Apply."""
    op.add_column("hold_orders", sa.Column("account_id", sa.Integer(), server_default="0", nullable=False))
    whose = "SELECT account_id FROM messages WHERE id = message_id"
    op.execute(f"UPDATE hold_orders SET account_id = coalesce(({whose}), 0) WHERE state = 'open'")  # noqa: S608
    for name, whose in _INDEXES.items():
        op.create_index(
            f"ix_hold_orders_{name}",
            "hold_orders",
            ["node", "verb", "account_id", "due_at"],
            sqlite_where=sa.text(whose),
            postgresql_where=sa.text(whose),
        )


def downgrade() -> None:
    """Undo: all that is due is looked at each time."""
    for name in _INDEXES:
        op.drop_index(f"ix_hold_orders_{name}", "hold_orders")
    op.drop_column("hold_orders", "account_id")
