"""A counting world, where other tests of the daemon have a store's."""

from __future__ import annotations

from tests.conftest import world

__all__ = ["world"]
