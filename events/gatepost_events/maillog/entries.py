"""What lines of Postfix's log tell, as values. ``id`` is always a queue id. Pure."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias


class Active(NamedTuple):
    """qmgr(8) took a message up, with so many recipients that have no final outcome yet."""

    id: str
    recipients: int


class Outcome(NamedTuple):
    """A delivery agent's attempt for one recipient.

    ``original``: the address before aliases, '' where it is the same. ``result``: sent, deferred, bounced, in
    lower case. ``delay``: seconds since the message came, as text; ``delays``: before the queue manager, in
    the queue, connecting, sending. ``text``: what the host said, or what the agent did.
    """

    id: str
    to: str
    original: str
    relay: str
    delay: str
    delays: str
    status: str
    result: str
    text: str


class Expired(NamedTuple):
    """qmgr(8) gave a message up: who has no final outcome will have none."""

    id: str


class Removed(NamedTuple):
    """A message left the queue; ``by_hand``: postsuper(1) removed it, outcome or not."""

    id: str
    by_hand: bool


class Came(NamedTuple):
    """A message came: by SMTP from ``client`` (name and address), or by pickup(8) ('').

    ``original``: its queue id before a content filter, or before it was queued anew; '' for a new one.
    ``login``: somebody logged in for it.
    """

    id: str
    client: str
    original: str
    login: bool


class Refused(NamedTuple):
    """cleanup(8) refused a message at its end, or threw it away (``discarded``): it is in no queue."""

    id: str
    text: str
    discarded: bool


class Held(NamedTuple):
    """A message waits in the hold queue, for a person."""

    id: str
    text: str


class Released(NamedTuple):
    """It does not any more."""

    id: str


class Notice(NamedTuple):
    """bounce(8) made a message about one: a report, with a queue id of its own."""

    id: str
    report: str


Entry: TypeAlias = Active | Outcome | Expired | Removed | Came | Refused | Held | Released | Notice
