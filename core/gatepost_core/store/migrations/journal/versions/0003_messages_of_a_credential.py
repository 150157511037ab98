"""An index for the messages of one credential, newest first, in place of one that nothing asked."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index("ix_messages_username", "messages", ["username", "id"])
    op.drop_index("ix_messages_credential_id", "messages")


def downgrade() -> None:
    """Undo."""
    op.create_index("ix_messages_credential_id", "messages", ["credential_id"])
    op.drop_index("ix_messages_username", "messages")
