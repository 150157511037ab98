"""What entries of the spool become in the journal: rows, and how far each segment was taken. Pure.

Messages go first, whatever stream they are in, then logins, then events, so that an event finds its message.
An entry that this release cannot read ends its segment there: it is never skipped, since another release may
know what it is. The position stays before it, and other segments go on. What a stream may not hold
(``streams``) is counted and told, never recorded, and the position goes on.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from gatepost_core.domain import ids, spooled
from gatepost_core.domain.failures import FailureClass
from gatepost_core.domain.spooled import Accepted, Event, Refused, Report, Used
from gatepost_core.spool import Batch, Entry
from gatepost_core.spool.entry import size
from gatepost_core.store.ingest import streams

# A stream's name and a segment's id.
Segment: TypeAlias = tuple[str, bytes]
# A stream's name, and in words what it may not hold.
NotHeld: TypeAlias = tuple[str, str]
# Types that are counted by what their detail says, and what it may say: whoever clicks chooses no key.
_COUNTED_BY: Final = {"failed": "class", "bounced": "class", "clicked": "verdict", "opened": "verdict"}
_KINDS: Final = frozenset((*FailureClass, "person", "proxy", "scanner", "unknown"))
# Of an address, and of its domain, what is looked up.
ADDRESS_MOST: Final = 320
DOMAIN_MOST: Final = 253


class Position(NamedTuple):
    """How far a segment is taken; ``finished``: nothing more will ever be in it."""

    stream: str
    segment: bytes
    offset: int
    finished: bool


class Noted(NamedTuple):
    """An event and its own id."""

    id: str
    event: Event


@dataclass(frozen=True, slots=True)
class Intake:
    """What some batches hold. ``used`` has each credential's newest; ``refusals``: replies to clients, by the
    events' ids; ``reports``: what may be forwarded, by the entries' ids; ``stopped``, in words, why a segment
    is not read on; ``refused``: how many entries, by stream and what they are, their stream may not hold."""

    accepted: dict[str, Accepted] = field(default_factory=dict)
    used: dict[int, Used] = field(default_factory=dict)
    events: dict[str, Noted] = field(default_factory=dict)
    refusals: dict[str, Refused] = field(default_factory=dict)
    reports: dict[str, Report] = field(default_factory=dict)
    positions: list[Position] = field(default_factory=list)
    stopped: dict[Segment, str] = field(default_factory=dict)
    refused: Counter[NotHeld] = field(default_factory=Counter)

    def add(self, stream: str, entry: Entry) -> None:
        """Note what an entry of a stream holds. Raises ValueError for what this release cannot read."""
        if (entry.version, entry.kind) not in spooled.KNOWN:
            raise ValueError(
                f"an entry of version {entry.version} and kind {entry.kind}, which this release does not know"
            )
        if not streams.holds(stream, entry.kind):
            self.refused[stream, streams.named(entry.kind)] += 1
        elif entry.kind == spooled.ACCEPTED:
            message = spooled.read_accepted(entry.id, entry.content)
            self.accepted.setdefault(message.row.id, message)
        elif entry.kind == spooled.USED:
            used = spooled.read_used(entry.content)
            before = self.used.get(used.credential_id)
            if before is None or before.at < used.at:
                self.used[used.credential_id] = used
        elif entry.kind == spooled.REFUSED:
            self.refusals.setdefault(ids.from_bytes(entry.id), spooled.read_refused(entry.content))
        elif entry.kind == spooled.REPORT:
            self.reports.setdefault(ids.from_bytes(entry.id), spooled.read_report(entry.content))
        else:
            number, event = ids.from_bytes(entry.id), spooled.read_event(entry.content)
            if streams.holds_event(stream, event.type):
                self.events.setdefault(number, Noted(number, event))
            else:
                self.refused[stream, streams.named(entry.kind, event.type)] += 1


def intake(batches: Iterable[tuple[str, Batch]]) -> Intake:
    """Return what batches hold, each with the name of its stream. Never raises for what is in them."""
    found = Intake()
    for stream, batch in batches:
        if batch.fault:
            found.stopped[stream, batch.segment] = batch.fault
        offset, finished = batch.end, batch.finished
        for number, entry in enumerate(batch.entries):
            try:
                found.add(stream, entry)
            except ValueError as error:
                offset -= sum(size(one) for one in batch.entries[number:])
                finished = False
                found.stopped[stream, batch.segment] = f"at byte {offset}: {error}"
                break
        found.positions.append(Position(stream, batch.segment, offset, finished))
    return found


def from_address(header_from: str, sender: str) -> str:
    """Return the address that a message is from: the first in From, or else the envelope sender."""
    first = header_from.partition(", ")[0]
    address = first.rpartition("<")[2].partition(">")[0].strip()
    return lookup_address(address if "@" in address else sender)


def lookup_address(address: str) -> str:
    """Return an address as it is looked up."""
    return address.lower()[:ADDRESS_MOST]


def domain_of(address: str) -> str:
    """Return the domain of an address as it is looked up, '' of one without."""
    return address.rpartition("@")[2].lower()[:DOMAIN_MOST] if "@" in address else ""


def counted(event: Event) -> str:
    """Return what an event is counted under: its type, of failures with the class, of readers with who."""
    name = _COUNTED_BY.get(event.type)
    kind = json.loads(event.detail).get(name) if name is not None else None
    return f"{event.type}/{kind}" if isinstance(kind, str) and kind in _KINDS else event.type


def recipient_rows(message: str, recipients: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Yield message id, address and domain of each recipient."""
    for address in recipients:
        yield message, lookup_address(address), domain_of(address)
