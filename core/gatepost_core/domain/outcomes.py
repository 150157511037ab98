"""What becomes of a message and of each of its recipients: as events tell it, and as the mail log does. Pure.

gatepost-events reads the log, which names queue ids, and makes ``Told`` and ``Logged``; the store knows which
messages these are. Reports that came back wait to be forwarded (``Waiting``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol

from gatepost_core.domain.rules.places import Place

ACCEPTED: Final = "accepted"
QUEUED: Final = "queued"
NOT_QUEUED: Final = "not-queued"
DELIVERED: Final = "delivered"
# The state that an event of a type puts a recipient in; other types change none.
STATE_AFTER: Final[Mapping[str, str]] = {
    "held": "held",
    "released": QUEUED,
    "refused": NOT_QUEUED,
    "delivered": DELIVERED,
    "deferred": "deferred",
    "suppressed": "suppressed",
    "bounced": "bounced",
    "failed": "failed",
}
# The best first.
STATES: Final = (
    DELIVERED, ACCEPTED, QUEUED, "held", "deferred", "suppressed", "bounced", "failed", NOT_QUEUED,
)  # fmt: skip
_RANKS = {state: rank for rank, state in enumerate(STATES)}


class Told(NamedTuple):
    """What happened to the message with a queue id, or to one recipient of it (else '').

    ``at``: microseconds since 1970. ``line``: what the id is made of.
    """

    queue_id: str
    type: str
    recipient: str
    at: int
    detail: Mapping[str, Any]
    line: str


@dataclass(frozen=True, slots=True)
class Logged:
    """What one reading of the log told.

    ``told``: in the order of the log; ``queued``: queue ids that were taken up first, and when, as in
    ``Told``; ``position``: how far it was read, for whoever reads it; ``kept``: what that one has to
    remember of queue ids, as text, where it changed, and ``gone`` those of which nothing more comes.
    ``lost``: how many lines are missing, as accounts show; ``line_at``: time of the last line, in
    microseconds; 0 where there was none.
    """

    position: str
    told: Sequence[Told] = ()
    queued: Mapping[str, int] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)
    gone: Sequence[str] = ()
    lost: int = 0
    line_at: int = 0


class HoldState(StrEnum):
    """What came of an order. ``stays``: the message may not be sent; ``gone``: it was not held any more."""

    DONE = "done"
    STAYS = "stays"
    GONE = "gone"


# An order that waits to be carried out.
OPEN: Final = "open"
# Who asked for what the message itself did, by its field X-Gatepost-Send-At. Of a person it is never said.
BY_ITSELF: Final = "schedule"
# The source of an event that tells why a message stays held whose time has come: nothing becomes of it.
STAYS: Final = "release"
# Begins what is noted of an order that the helper may have carried out.
HELPER_ASKED: Final = "gatepost-hold was asked"


class HoldOrder(NamedTuple):
    """What is to be done with a message; ``recipients``: those who are to get it; ``size``: its bytes.

    ``by_itself``: its time has come, and nobody asked for it now. ``asked_at``: what tells it from another
    order about the message. ``sender`` is the envelope's, ``header_from`` what is recorded of From;
    ``header_sender``: addresses of Sender, none where the milter did not have the message held. ``places``:
    where it came from, if its credential had a rule about that and somebody wants it released.
    """

    message: str
    verb: str
    queue_id: str
    account_id: int
    credential_id: int
    username: str
    tags: tuple[str, ...]
    recipients: tuple[str, ...]
    size: int
    note: str
    by_itself: bool
    asked_at: str
    sender: str
    header_from: str
    header_sender: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()


def status(states: Iterable[str]) -> str:
    """Return a message's status: the worst of its recipients' states. One without recipients is accepted."""
    return max(states, key=_rank, default=ACCEPTED)


def _rank(state: str) -> int:
    return _RANKS.get(state, 0)  # a newer release's, which this one cannot judge


class ForwardState(StrEnum):
    """What became of a report: Postfix took it, or refused it; it may not be sent; it waited for too long."""

    SENT = "sent"
    REFUSED = "refused"
    STOPPED = "stopped"
    LATE = "late"


class Waiting(NamedTuple):
    """A report that waits. ``sender``: the envelope sender of its message, as the client gave it.

    ``account_id`` is 0 and ``sender`` None while the message is not known. ``address``: the bounce address
    that it was sent to; ``file``: its name in ``bounces.directory``; ``kept_at``: since when it waits;
    ``note``: why it was not sent before.
    """

    id: str
    message: str
    account_id: int
    sender: str | None
    address: str
    file: str
    kept_at: datetime
    attempts: int
    credential_id: int = 0
    username: str = ""
    note: str = ""


class SentTo(StrEnum):
    """Of what so many reports are sent in an hour: a message's account, its envelope sender, or itself."""

    ACCOUNT = "account"
    ADDRESS = "address"
    MESSAGE = "message"


class Forwarder(Protocol):
    """A node's reports that are to be forwarded, for one thread. Everything raises StoreUnavailable."""

    def due(self, now: datetime, most: int, without: Collection[int] = ()) -> Sequence[Waiting]:
        """Return reports whose time has come, at most so many, none of these accounts'."""
        ...

    def full_since(self, one: Waiting, of: SentTo, most: int, now: datetime) -> datetime | None:
        """Return when the first of the last ``most`` was sent, if that is less than an hour ago."""
        ...

    def enough(self, one: Waiting) -> bool:
        """Say whether as many of a report's message were sent as its recipients can make."""
        ...

    def begin(self, one: Waiting, until: datetime) -> bool:
        """Note an attempt before it, and when the next one is; say whether the report waits still."""
        ...

    def settle(self, one: Waiting, state: ForwardState, note: str, now: datetime) -> None:
        """Note what became of a report."""
        ...

    def postpone(self, one: Waiting, note: str, until: datetime) -> None:
        """Note why a report could not be sent yet, its attempts, and when it is tried again."""
        ...

    def forget(self, before: datetime) -> int:
        """Let go of some that were settled before; return how many are gone."""
        ...

    def close(self) -> None:
        """Let go of what it has open."""
        ...
