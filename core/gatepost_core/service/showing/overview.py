"""What the first page tells: how much was sent, at which rates it fails, and what needs attention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from gatepost_core.domain.access import may
from gatepost_core.service import messages
from gatepost_core.service.context import Context
from gatepost_core.store.credentials import listing
from gatepost_core.store.ingest.stats import Counts
from gatepost_core.store.webhooks import endpoints

__all__ = [
    "BOUNCES", "COMPLAINTS", "Counts", "Level", "Needs", "Rate", "Totals", "attention", "totals",
]  # fmt: skip
# Shares at which mailbox providers begin to mind: Gmail, Yahoo and SES say so of both.
COMPLAINTS: Final = (0.001, 0.003)
BOUNCES: Final = (0.04, 0.08)
_SOON: Final = timedelta(days=7)
_HELD_MOST: Final = 100
_ATTENTION_MOST: Final = 20


class Level(StrEnum):
    """How a rate is."""

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of one, and whether it is one to mind. ``of``: how many it is a share of."""

    share: float
    level: Level
    of: int


@dataclass(frozen=True, slots=True)
class Totals:
    """What was counted over a time. ``sent``: recipients of accepted messages; opens and clicks by people."""

    messages: int
    sent: int
    delivered: int
    deferred: int
    bounced: int
    opened: int
    clicked: int
    complaints: int
    unsubscribed: int
    mailbox: int

    @property
    def bounce_rate(self) -> Rate:
        """The share of recipients whose mailbox is none."""
        return _rate(self.mailbox, self.sent, BOUNCES)

    @property
    def complaint_rate(self) -> Rate:
        """The share of delivered mail that was complained about."""
        return _rate(self.complaints, self.delivered, COMPLAINTS)


@dataclass(frozen=True, slots=True)
class Needs:
    """Something that needs attention: what, how badly, and the kind and name of what it is about."""

    text: str
    level: Level
    kind: str
    name: str = ""


def totals(hours: Mapping[datetime, Counts]) -> Totals:
    """Return what was counted over all hours."""
    events: dict[str, int] = {}
    sent = people_opened = people_clicked = mailbox = 0
    for one in hours.values():
        for type_, number in one.events.items():
            events[type_] = events.get(type_, 0) + number
        sent += one.recipients
        people_opened += one.kinds.get("opened", {}).get("person", 0)
        people_clicked += one.kinds.get("clicked", {}).get("person", 0)
        mailbox += sum(one.kinds.get(type_, {}).get("mailbox", 0) for type_ in ("failed", "bounced"))
    return Totals(
        events.get("accepted", 0),
        sent,
        events.get("delivered", 0),
        events.get("deferred", 0),
        events.get("failed", 0) + events.get("bounced", 0),
        people_opened,
        people_clicked,
        events.get("complaint", 0),
        events.get("unsubscribed", 0),
        mailbox,
    )


def attention(context: Context, account: str | None = None) -> list[Needs]:
    """Return what needs attention of what the actor sees, the worst first, at most twenty."""
    own, actor, found = context.own(account), context.actor, list[Needs]()

    def sees(kind: str) -> bool:
        return may(actor, kind, write=False, account=actor.account)

    with context.store.directory() as connection:
        if sees("credentials"):
            suspended = listing.Wanted(account=own, state="suspended")
            for one in listing.page(connection, suspended, context.now, _ATTENTION_MOST):
                text = f"{one.label or one.username} is suspended: {one.suspension}"
                found.append(Needs(text, Level.BAD, "credentials", one.username))
            last = context.now + _SOON
            for one in listing.ending(connection, own, context.now, last, _ATTENTION_MOST):
                text = f"{one.label or one.username} ends within a week"
                found.append(Needs(text, Level.WARN, "credentials", one.username))
        if sees("webhooks"):
            for endpoint in endpoints.list_all(connection, own):
                if endpoint.state is endpoints.EndpointState.OFF:
                    text = f"The webhook {endpoint.label or endpoint.handle} is switched off"
                    found.append(Needs(text, Level.BAD, "webhooks", endpoint.handle))
    if sees("messages"):
        waiting = len(messages.held(context, "", account, _HELD_MOST).items)
        if waiting:
            told = f"{waiting} or more" if waiting == _HELD_MOST else str(waiting)
            found.append(Needs(f"{told} held, waiting to be released", Level.WARN, "messages"))
    return sorted(found, key=lambda one: one.level is not Level.BAD)[:_ATTENTION_MOST]


def _rate(number: int, of: int, limits: tuple[float, float]) -> Rate:
    share = min(number / of, 1.0) if of else 0.0
    warn, bad = limits
    return Rate(share, Level.BAD if share >= bad else Level.WARN if share >= warn else Level.GOOD, of)
