"""Opening the store that the settings name: the one place that knows which engines there are."""

from __future__ import annotations

from gatepost_core.settings import StoreSettings
from gatepost_core.store.backend import Backend
from gatepost_core.store.sqlite.backend import SqliteBackend


def open_backend(settings: StoreSettings) -> Backend:
    """Return the store that settings name. Nothing is opened before it is used."""
    return SqliteBackend(settings)
