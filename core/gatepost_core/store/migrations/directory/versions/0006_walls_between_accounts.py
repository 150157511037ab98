"""Grants of domains, and whether walls between accounts are enforced.

A store with accounts has been in use: there walls begin with ``report``, so that no mail is refused by the
upgrade alone. A new one begins with ``enforce``.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "domain_grants",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=253), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_domain_grants_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_domain_grants")),
        sa.UniqueConstraint("name", "account_id", name=op.f("uq_domain_grants_name")),
    )
    op.create_index(op.f("ix_domain_grants_account_id"), "domain_grants", ["account_id"], unique=False)
    op.create_index(op.f("ix_sender_domains_click_domain"), "sender_domains", ["click_domain"], unique=False)
    facts = op.create_table(
        "store_facts",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_store_facts")),
    )
    used = op.get_bind().execute(sa.text("SELECT 1 FROM accounts LIMIT 1")).first() is not None
    op.bulk_insert(facts, [{"name": "walls", "value": "report" if used else "enforce"}])


def downgrade() -> None:
    """Undo."""
    op.drop_table("store_facts")
    op.drop_index(op.f("ix_sender_domains_click_domain"), table_name="sender_domains")
    op.drop_index(op.f("ix_domain_grants_account_id"), table_name="domain_grants")
    op.drop_table("domain_grants")
