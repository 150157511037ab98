"""Refusals on their way into the spool: noted at once, flushed within a second. No client waits."""

from __future__ import annotations

import secrets
from datetime import datetime
from pathlib import Path

from gatepost_core.domain import spooled
from gatepost_core.serving import log
from gatepost_core.settings import SpoolSettings
from gatepost_core.spool import Entry, Notes

STREAM = "policy"


class Records:
    """Notes refusals in the stream at ``folder``. Made after the fork; ``close`` writes the rest."""

    def __init__(self, folder: Path, settings: SpoolSettings) -> None:
        most = settings.limits[STREAM]
        self._notes = Notes(folder, size=settings.segment_size, most=most, report=_told)

    def __call__(self, at: datetime, content: bytes) -> None:
        """Note a refusal. Never waits for a disk, never raises; of too many the oldest are let go."""
        number = int(at.timestamp() * 1000).to_bytes(6, "big") + secrets.token_bytes(7)
        self._notes.append(Entry(number, spooled.VERSION, spooled.REFUSED, content))

    def close(self) -> None:
        """Write what waits, then stop."""
        self._notes.close()


def _told(fault: str) -> None:
    if fault:
        log.warning("refusals wait in memory, trying again each second", error=fault)
    else:
        log.info("refusals are written again")
