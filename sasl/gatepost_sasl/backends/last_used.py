"""Last use of each credential, on its way into the spool: noted at once, flushed within a second.

A login waits for no disk because of it, and none fails because of it; a daemon that is killed has noted it.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from pathlib import Path

from gatepost_core.domain import spooled
from gatepost_core.serving import log
from gatepost_core.settings import SpoolSettings
from gatepost_core.spool import Entry, Notes

STREAM = "sasl"


class LastUsed:
    """Notes logins in the stream at ``folder``. Made after the fork; ``close`` writes the rest."""

    def __init__(self, folder: Path, settings: SpoolSettings) -> None:
        self._notes = Notes(folder, size=settings.segment_size, most=settings.usage_limit, report=_told)

    def record(self, credential_id: int, ip: str, now: datetime) -> None:
        """Note a login. Never waits for a disk, never raises; of too many the oldest are let go."""
        number = int(now.timestamp() * 1000).to_bytes(6, "big") + secrets.token_bytes(7)
        used = spooled.used(credential_id, now, ip)
        self._notes.append(Entry(number, spooled.VERSION, spooled.USED, used))

    def close(self) -> None:
        """Write what waits, then stop."""
        self._notes.close()


def _told(fault: str) -> None:
    if fault:
        log.warning("last use of credentials waits in memory, trying again each second", error=fault)
    else:
        log.info("last use of credentials is written again")
