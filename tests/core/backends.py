"""The engines that a store can be kept in: each test of behaviour runs over all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from gatepost_core.settings import StoreSettings
from gatepost_core.store import migrate
from gatepost_core.store.backend import Backend
from gatepost_core.store.opening import open_backend


def _sqlite(folder: Path) -> StoreSettings:
    return StoreSettings(url=f"sqlite:///{folder}/directory.db")


# What makes the settings of an empty store of each; its local files are in the folder.
ENGINES: Mapping[str, Callable[[Path], StoreSettings]] = {"sqlite": _sqlite}


def made(settings: StoreSettings) -> Backend:
    """Return a new store with this release's tables."""
    backend = open_backend(settings)
    for database in migrate.DATABASES:
        backend.upgrade(database)
    return backend
