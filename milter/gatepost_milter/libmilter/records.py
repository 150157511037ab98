"""Records of accepted messages, on their way into the spool: on disk before the client hears 250."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

from gatepost_core.domain import MessageRecord, ids, spooled, stamp, utc_now
from gatepost_core.domain.rules import UNREADABLE
from gatepost_core.domain.rules.places import plain
from gatepost_core.domain.suppressing import Suppression
from gatepost_core.domain.texts import bounded
from gatepost_core.serving import log
from gatepost_core.settings import SpoolSettings
from gatepost_core.spool import Entry, SpoolError, Writer
from gatepost_milter.holding import Hold

STREAM = "milter"
# As the record has it (judge.py).
_ADDRESS_KEPT = 1_000
# Of the fields Sender, characters in all.
_SENDERS_KEPT = 2_000


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

    def __call__(
        self,
        record: MessageRecord,
        suppressed: Mapping[str, Suppression],
        held: Hold | None = None,
        senders: Sequence[str] = (),
    ) -> None:
        """Have a record on disk, with events: each recipient that does not get it, why the message is held.

        ``senders``: addresses of its fields Sender, which are judged anew at its release. Raises SpoolError.
        """
        entries = [
            Entry(ids.to_bytes(record.id), spooled.VERSION, spooled.ACCEPTED, spooled.accepted(record))
        ]
        entries += [_suppressed(record, *one) for one in suppressed.items()]
        if held:
            more: dict[str, Any] = {} if held.until is None else {"release_at": stamp(held.until)}
            if senders:
                more["header_sender"] = _listed(senders)
            if held.places:
                more["places"] = plain(held.places)
            entries.append(_event(record, "held", "", {"source": "milter", "reason": held.reason, **more}))
        self._writer.append(*entries)

    def tell(self, record: MessageRecord, type_: str, detail: Mapping[str, Any]) -> None:
        """Have an event of a message on disk. Raises SpoolError."""
        now = utc_now()
        number = ids.to_bytes(ids.new(int(now.timestamp() * 1000)))
        content = spooled.event(type_, record.id, "", now, detail)
        self._writer.append(Entry(number, spooled.VERSION, spooled.EVENT, content))

    def refused(self, at: datetime, content: bytes) -> None:
        """Have a refusal on disk, as far as that can be done. Never raises: the log has it as well."""
        number = int(at.timestamp() * 1000).to_bytes(6, "big") + secrets.token_bytes(7)
        try:
            self._writer.append(Entry(number, spooled.VERSION, spooled.REFUSED, content))
        except (SpoolError, ValueError) as error:
            log.warning("a refusal is logged and not recorded", error=str(error))

    def close(self) -> None:
        """Give up the segment."""
        self._writer.close()


def _listed(senders: Sequence[str]) -> list[str]:
    """Return addresses as they have room; where not all have, the last is one that cannot be read.

    A list, since a local part in quotes may hold what would divide a text.
    """
    ends = accumulate(len(one) + 1 for one in senders)
    kept = [one for one, end in zip(senders, ends, strict=True) if end <= _SENDERS_KEPT]
    return kept if len(kept) == len(senders) else [*kept, UNREADABLE]


def _suppressed(record: MessageRecord, recipient: str, found: Suppression) -> Entry:
    """Return the event that a recipient does not get a message."""
    detail = {
        "scope": found.scope.value,
        "tag": found.tag,
        "reason": found.reason.value,
        "since": stamp(found.since),
    }
    return _event(record, "suppressed", bounded(recipient, _ADDRESS_KEPT), detail)


def _event(record: MessageRecord, type_: str, recipient: str, detail: Mapping[str, Any]) -> Entry:
    """Return an event of the moment in which a message is accepted. Its id is made of what it tells."""
    digest = hashlib.sha256(f"{type_}\0{record.id}\0{recipient}".encode("utf-8", "replace")).digest()
    content = spooled.event(type_, record.id, recipient, record.created_at, detail)
    return Entry(ids.to_bytes(record.id)[:6] + digest[:7], spooled.VERSION, spooled.EVENT, content)
