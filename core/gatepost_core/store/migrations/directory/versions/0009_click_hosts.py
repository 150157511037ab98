"""Hosts of rewritten links, those that are no click domain any more too: links in sent mail lead there.

Where several accounts had one host, before walls, it is that of the domain that was registered first.
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
    op.create_table(
        "click_hosts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(length=253), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_click_hosts_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_click_hosts")),
        sa.UniqueConstraint("host", name=op.f("uq_click_hosts_host")),
    )
    op.create_index(op.f("ix_click_hosts_account_id"), "click_hosts", ["account_id"], unique=False)
    op.execute(
        "INSERT INTO click_hosts (host, account_id, created_at) "
        "SELECT click_domain, account_id, created_at FROM sender_domains WHERE id IN "
        "(SELECT MIN(id) FROM sender_domains WHERE click_domain <> '' GROUP BY click_domain)"
    )


def downgrade() -> None:
    """Undo."""
    op.drop_index(op.f("ix_click_hosts_account_id"), table_name="click_hosts")
    op.drop_table("click_hosts")
