"""Events on their way into the spool: clicks and opens at once and without waiting, unsubscribes on disk.

Both have segments of their own in the stream ``tracker``. Clicks fill no more than ``spool.clicks_limit``;
unsubscribes have a quarter of that beside it, so that no flood of clicks keeps anybody from unsubscribing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

from gatepost_core.domain import ids, spooled
from gatepost_core.serving import log
from gatepost_core.settings import SpoolSettings
from gatepost_core.spool import Entry, Notes, Writer
from gatepost_tracker.site import Happened

STREAM = "tracker"
# Of an entry's id, beside its time.
_RANDOM = ids.LENGTH_BYTES - 6


class Records:
    """Keeps events in the stream at ``folder``. One for a worker, made after the fork.

    ``lost`` hears of each event that could not be kept.
    """

    def __init__(self, folder: Path, settings: SpoolSettings, lost: Callable[[], object]) -> None:
        most = settings.clicks_limit
        self._notes = Notes(folder, size=settings.segment_size, most=most, report=_told, lost=lost)
        self._writer = Writer(folder, size=settings.segment_size, most=most + most // 4)

    def note(self, events: Iterable[Happened], now: datetime) -> None:
        """Hand clicks and opens to the kernel; flushed within a second. Never waits. Raises ValueError."""
        several = tuple(events)
        # One call of the kernel for the random part of all ids.
        chance = secrets.token_bytes(_RANDOM * len(several))
        self._notes.extend(
            [
                _entry(event, now, chance[_RANDOM * number : _RANDOM * (number + 1)])
                for number, event in enumerate(several)
            ]
        )

    def keep(self, event: Happened, now: datetime) -> None:
        """Have an event on disk. Raises SpoolError; ValueError for what no event may hold."""
        self._writer.append(_entry(event, now, secrets.token_bytes(_RANDOM)))

    def close(self) -> None:
        """Write what waits, and give up the segments."""
        self._notes.close()
        self._writer.close()


def _entry(event: Happened, now: datetime, chance: bytes) -> Entry:
    number = int(now.timestamp() * 1000).to_bytes(6, "big") + chance
    content = spooled.event(event.type, event.message, event.recipient, now, event.detail)
    return Entry(number, spooled.VERSION, spooled.EVENT, content)


def _told(fault: str) -> None:
    if fault:
        log.warning("clicks and opens wait in memory, trying again each second", error=fault)
    else:
        log.info("clicks and opens are written again")
