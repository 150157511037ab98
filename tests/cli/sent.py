"""A gateway's spool and store for commands that read what was sent, without any daemon."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gatepost_core.settings import StoreSettings
from tests.core.ingest.world import World

from .command import Gatepost


def world(gatepost: Gatepost) -> World:
    """Return the node whose spool and journal the command's settings name."""
    spool = gatepost.folder / "spool"
    spool.mkdir(exist_ok=True)
    return World(spool, StoreSettings(url=f"sqlite:///{gatepost.folder}/store/directory.db"))


def ago(seconds: float) -> datetime:
    """Return a time in UTC."""
    return datetime.now(UTC) - timedelta(seconds=seconds)
