"""What is taken at the bounce domains, and what a message becomes there: events for the spool. Pure.

An address is taken if it is one that was given out, whoever asks: Postfix asks at RCPT, and its own port 25
has asked gatepost-policy before. Events have ids of what they tell, so a report that comes twice, or is
delivered again after a crash, is one event.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from gatepost_bounces.arf import Prove
from gatepost_bounces.reading import Reading, nothing, read
from gatepost_bounces.told import Told
from gatepost_core.domain import ids, spooled
from gatepost_core.domain.rules import normal_domain
from gatepost_core.keys.tokens import Origin

# Of a message and a recipient there is one of these, however often it is told.
_ONCE: Final = frozenset(("bounced", "complaint", "delivered"))


class Directory(Protocol):
    """What is needed of the store's reader. Raises StoreUnavailable."""

    def bounce_domain(self, name: str) -> bool:
        """Say whether bounces of a sender domain arrive at that name."""
        ...

    def forwards(self, credential_id: int) -> bool:
        """Say whether the account of a credential has reports forwarded."""
        ...


class Tokens(Protocol):
    """Knows the local parts that were given out as envelope senders."""

    def verify(self, local_part: str, host: str) -> Origin | None:
        """Return what a valid token of a bounce domain holds, else None."""
        ...


@dataclass(frozen=True, slots=True)
class Mailbox:
    """What a recipient stands for: a message of ours, or (None) complaints that carry their own proof.

    ``address``: the recipient, where it stands for a message.
    """

    origin: Origin | None
    address: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """An event for the spool, or a report that may be forwarded: its entry's id, content and kind."""

    id: bytes
    content: bytes
    kind: int = spooled.EVENT


@dataclass(frozen=True, slots=True)
class Taken:
    """What a message becomes: events, the name of its file, and what was read. ``unread``: see Reading.

    ``forwards``: the report for the spool, where its message's account wants it.
    """

    events: tuple[Event, ...]
    told: tuple[Told, ...]
    message: str
    file: str
    unread: str
    forwards: tuple[Event, ...] = ()


class Intake:
    """``feedback``: the local part that takes complaints without a token; '' for none.

    Reports of messages older than ``oldest`` tell nothing that counts.
    """

    def __init__(
        self,
        directory: Directory,
        tokens: Tokens,
        prove: Prove = nothing,
        *,
        feedback: str,
        oldest: timedelta,
    ) -> None:
        self._directory = directory
        self._tokens = tokens
        self._prove = prove
        self._feedback = feedback.lower()
        self._oldest = oldest

    def mailbox(self, address: str) -> Mailbox | None:
        """Return what an address stands for; None where it is none of ours. Raises StoreUnavailable."""
        local_part, _, domain = address.rpartition("@")
        host = normal_domain(domain)
        if self._feedback and local_part.lower() == self._feedback:
            return Mailbox(None) if self._directory.bounce_domain(host) else None
        origin = self._verified(address)
        return Mailbox(origin, address) if origin is not None else None

    def take(self, raw: bytes, mailbox: Mailbox, sender: str, now: datetime) -> Taken:
        """Return what a message becomes. Raises StoreUnavailable."""
        reading = read(raw, mailbox.origin, sender, self._verified, self._prove)
        digest = hashlib.sha256(raw).digest()
        name = f"{ids.from_bytes(digest[:13])}.eml"
        message = reading.origin.message_id if reading.origin is not None else ""
        too_old = self._too_old(reading, now)
        counts = reading.told if message and not too_old else ()
        events = tuple(self._event(one, message, name, digest, now) for one in counts)
        forwards: tuple[Event, ...] = ()
        if reading.origin is not None and reading.report and not too_old:
            wanted = self._directory.forwards(reading.origin.credential_id)
        else:
            wanted = False
        if wanted:
            forwards = (self._report(message, mailbox.address, name, digest, now),)
        return Taken(events, reading.told, message, name, too_old or reading.unread, forwards)

    def _verified(self, address: str) -> Origin | None:
        local_part, _, domain = address.rpartition("@")
        host = normal_domain(domain)
        origin = self._tokens.verify(local_part, host)
        return origin if origin is not None and self._directory.bounce_domain(host) else None

    def _too_old(self, reading: Reading, now: datetime) -> str:
        if reading.origin is None:
            return ""
        milliseconds = int.from_bytes(ids.to_bytes(reading.origin.message_id)[:6], "big")
        age = now - datetime.fromtimestamp(0, UTC) - timedelta(milliseconds=milliseconds)
        return f"about a message of {age.days} days ago" if age > self._oldest else ""

    @staticmethod
    def _report(message: str, address: str, name: str, digest: bytes, now: datetime) -> Event:
        """Return a report that may be forwarded; the same one that comes twice has the same id."""
        what = f"report\0{message}\0".encode("ascii") + digest
        number = ids.to_bytes(message)[:6] + hashlib.sha256(what).digest()[:7]
        return Event(number, spooled.report(message, address, name, now), spooled.REPORT)

    @staticmethod
    def _event(told: Told, message: str, name: str, digest: bytes, now: datetime) -> Event:
        """Return an event. Its id begins with the message's time, as all ids begin with one."""
        own = b"" if told.type in _ONCE else digest
        what = f"{told.type}\0{message}\0{told.recipient.lower()}\0".encode("utf-8", "replace") + own
        number = ids.to_bytes(message)[:6] + hashlib.sha256(what).digest()[:7]
        detail = {**told.detail, "report": name}
        return Event(number, spooled.event(told.type, message, told.recipient, now, detail))
