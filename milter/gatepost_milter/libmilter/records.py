"""Records of accepted messages, on their way into the spool: on disk before the client hears 250."""

from __future__ import annotations

from pathlib import Path

from gatepost_core.domain import MessageRecord, ids, spooled
from gatepost_core.serving import log
from gatepost_core.settings import SpoolSettings
from gatepost_core.spool import Entry, SpoolError, Writer

STREAM = "milter"


class Records:
    """Keeps records in the stream at ``folder``. One for a worker, made after the fork; for many threads.

    A spool that cannot be written does not keep a worker from starting: each message tries again.
    """

    def __init__(self, folder: Path, settings: SpoolSettings) -> None:
        self._writer = Writer(folder, size=settings.segment_size, most=settings.messages_limit)
        try:
            self._writer.begin()
        except SpoolError as error:
            log.warning("spool unavailable, trying again at each message", error=str(error))

    def __call__(self, record: MessageRecord) -> None:
        """Have a record on disk. Raises SpoolError."""
        self._writer.append(
            Entry(ids.to_bytes(record.id), spooled.VERSION, spooled.ACCEPTED, spooled.accepted(record))
        )

    def close(self) -> None:
        """Give up the segment."""
        self._writer.close()
