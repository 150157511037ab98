"""A store and spools of its own for each test."""

from tests.core.ingest.conftest import world

__all__ = ["world"]
