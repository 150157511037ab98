"""Rules of accounts, below those of their credentials.

The release before knows none of them, nor rules about recipients, sizes, TLS and hours, and must not send
what they would refuse: there such credentials are off.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# ``lifted``: the account's defaults that a credential does without, and they are gone there.
_KNOWN = ("senders", "networks", "lifted")


def upgrade() -> None:
    """Apply."""
    op.add_column("accounts", sa.Column("rules", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Undo."""
    rows = op.get_bind().execute(
        sa.text(
            "SELECT c.id, c.rules, a.rules FROM credentials AS c JOIN accounts AS a ON a.id = c.account_id"
        )
    )
    for number, own, defaults in rows.all():
        if _held(_read(own)) or any(_read(defaults).values()):
            op.execute(
                sa.text("UPDATE credentials SET state = 'disabled' WHERE id = :id").bindparams(id=number)
            )
    op.drop_column("accounts", "rules")


def _read(value: Any) -> dict[str, Any]:
    found = json.loads(value) if isinstance(value, str) else value
    return found or {}


def _held(rules: dict[str, Any]) -> bool:
    return any(value and name not in _KNOWN for name, value in rules.items())
