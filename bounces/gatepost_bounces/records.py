"""Events on their way into the spool: on disk before Postfix hears 250."""

from __future__ import annotations

from pathlib import Path

from gatepost_bounces.intake import Event
from gatepost_core.domain import spooled
from gatepost_core.serving import log
from gatepost_core.settings import SpoolSettings
from gatepost_core.spool import Entry, SpoolError, Writer

STREAM = "bounces"


class Records:
    """Keeps events in the stream at ``folder``. One for a worker, made after the fork; for many threads."""

    def __init__(self, folder: Path, settings: SpoolSettings) -> None:
        self._writer = Writer(folder, size=settings.segment_size, most=settings.bounces_limit)
        try:
            self._writer.begin()
        except SpoolError as error:
            log.warning("spool unavailable, trying again at each message", error=str(error))

    def __call__(self, events: tuple[Event, ...]) -> None:
        """Have events on disk, all or none. Raises SpoolError."""
        if events:
            self._writer.append(*(Entry(one.id, spooled.VERSION, one.kind, one.content) for one in events))

    def close(self) -> None:
        """Give up the segment."""
        self._writer.close()
