"""Warnings and suspensions of credentials."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "suspensions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("credential_id", sa.Integer(), nullable=False),
        sa.Column("cause", sa.String(32), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("recipients", sa.BigInteger(), nullable=False),
        sa.Column("hours", sa.Integer(), nullable=False),
        sa.Column("most", sa.Float(), nullable=False),
        sa.Column("message_id", sa.String(21), server_default="", nullable=False),
        sa.Column("event_id", sa.String(21), nullable=False),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_by", sa.String(160), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["credential_id"],
            ["credentials.id"],
            name="fk_suspensions_credential_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_suspensions"),
        sa.UniqueConstraint("event_id", name="uq_suspensions_event_id"),
    )
    op.create_index("ix_suspensions_credential_id", "suspensions", ["credential_id"])
    untold = sa.text("NOT told")
    op.create_index(
        "ix_suspensions_told", "suspensions", ["told"], sqlite_where=untold, postgresql_where=untold
    )


def downgrade() -> None:
    """Undo: who is suspended stays disabled, and no reason is known."""
    op.drop_table("suspensions")
