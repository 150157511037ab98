"""Alembic's environment for the directory database: runs on the connection that it is given."""

from alembic import context

from gatepost_core.store.schema import directory

context.configure(connection=context.config.attributes["connection"], target_metadata=directory)
context.run_migrations()
