"""Alembic's environment for the journal database: runs on the connection that it is given."""

from alembic import context

from gatepost_core.store.schema import journal

context.configure(connection=context.config.attributes["connection"], target_metadata=journal)
context.run_migrations()
