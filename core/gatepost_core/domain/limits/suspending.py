"""When a credential is warned, and then suspended: too many bounces, complaints or new recipients. Pure.

Counted is what a credential itself has sent, in buckets of ``BUCKET`` seconds, by who cannot be fooled:
failures by our own log; reports only about a message with one recipient, each recipient once, and complaints
only with a proof. What somebody else sends, or reports about others, is nothing to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from gatepost_core.domain.errors import shown
from gatepost_core.domain.failures import FailureClass

BUCKET: Final = 300
HOUR: Final = timedelta(hours=1)
# What shows that a complaint is about the message (docs/bounces.md). By a DKIM signature of a domain that
# several accounts may use, one of them could complain about another's mail.
PROOFS: Final = frozenset(("token", "verp", "cfbl"))
PROOF_BY_DOMAIN: Final = "dkim"
# Of an account's own thresholds, the name of how many recipients a share needs; bounds of what may be set.
LEAST: Final = "least"
# In place of a threshold or a number: as the settings say.
DEFAULT: Final = "default"
LEAST_MOST: Final = 10**9
NEW_MOST: Final = 10**9
_NUMBER: Final = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,6})?")


class Cause(StrEnum):
    """What there is too much of."""

    BOUNCES = "bounces"
    COMPLAINTS = "complaints"
    NEW_RECIPIENTS = "new-recipients"


class Action(StrEnum):
    """What was done about it."""

    WARNED = "warned"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class Threshold:
    """Above which it is done; 0: never. Per cent of recipients, or a number of new ones."""

    warn: float = 0.0
    suspend: float = 0.0

    @property
    def on(self) -> bool:
        """Whether anything is ever done."""
        return bool(self.warn or self.suspend)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """``window``: what shares are counted over; ``least``: recipients in it before a share says anything."""

    window: timedelta = timedelta(hours=24)
    least: int = 1_000
    of: Mapping[Cause, Threshold] = field(default_factory=dict[Cause, Threshold])

    def on(self, cause: Cause) -> bool:
        """Say whether anything is done about it."""
        return self.of.get(cause, Threshold()).on

    @property
    def any(self) -> bool:
        """Whether anything is done at all."""
        return any(one.on for one in self.of.values())


@dataclass(frozen=True, slots=True)
class OwnThresholds:
    """What an account has of its own, above the settings'; None, or no threshold of a cause: as they say."""

    least: int | None = None
    of: Mapping[Cause, Threshold] = field(default_factory=dict[Cause, Threshold])

    def over(self, defaults: Thresholds) -> Thresholds:
        """Return what holds for its credentials."""
        least = defaults.least if self.least is None else self.least
        return Thresholds(defaults.window, least, {**defaults.of, **self.of})

    def changed(self, given: Mapping[str, Any]) -> OwnThresholds:
        """Return these with what was given in place, by the names of causes, and LEAST.

        A threshold, a number, or DEFAULT: as the settings say.
        """
        of = {Cause(name): one for name, one in given.items() if name != LEAST}
        kept = {cause: one for cause, one in {**self.of, **of}.items() if one != DEFAULT}
        least = given.get(LEAST, self.least)
        return OwnThresholds(None if least == DEFAULT else least, kept)

    def stored(self) -> dict[str, Any]:
        """Return what ``own_thresholds`` reads; empty: nothing of its own."""
        of = {cause.value: [one.warn, one.suspend] for cause, one in self.of.items()}
        return of if self.least is None else {**of, LEAST: self.least}


def own_thresholds(stored: Mapping[str, Any]) -> OwnThresholds:
    """Return what ``stored`` returned. Raises ValueError for what another release has kept."""
    of = {Cause(name): Threshold(*pair) for name, pair in stored.items() if name != LEAST}
    return OwnThresholds(stored.get(LEAST), of)


def read_threshold(cause: Cause, text: str) -> Threshold:
    """Return the threshold that ``WARN:SUSPEND`` spells, or ``SUSPEND`` alone; ``never`` is 0.

    Raises ValueError, whose text says what may stand there.
    """
    warn, colon, suspend = text.strip().lower().partition(":")
    numbers = [
        _NUMBER.fullmatch("0" if one == "never" else one) for one in ((warn, suspend) if colon else (warn,))
    ]
    values = [float(one[0]) for one in numbers if one is not None]
    burst = cause is Cause.NEW_RECIPIENTS
    most, what = (NEW_MOST, "numbers of recipients") if burst else (100, "per cent of recipients, 0 to 100")
    if len(values) < len(numbers) or any(one > most or (burst and one % 1) for one in values):
        raise ValueError(
            f"{shown(text)} is no threshold; expected WARN:SUSPEND, or SUSPEND alone, {what}; never for one "
            "above which nothing is done"
        )
    found = Threshold(*values) if colon else Threshold(suspend=values[0])
    if found.suspend and found.warn > found.suspend:
        raise ValueError(
            f"{shown(text)}: a warning at {found.warn:g} is above {found.suspend:g}, which suspends"
        )
    return found


@dataclass(frozen=True, slots=True)
class Counts:
    """What a window has. ``new``: in its last hour, recipients that the account had not written to before."""

    recipients: int = 0
    bounces: int = 0
    complaints: int = 0
    new: int = 0


@dataclass(frozen=True, slots=True)
class Suspension:
    """That a credential was warned or suspended: when, what was counted, and what it may have had at most.

    ``recipients``, ``hours``: of which, in which time. ``message``: the one that came last. ``lifted_at``,
    ``lifted_by``: when and by whom it was lifted.
    """

    cause: Cause
    action: Action
    at: datetime
    count: int
    recipients: int
    hours: int
    most: float
    message: str = ""
    event: str = ""
    lifted_at: datetime | None = None
    lifted_by: str = ""

    @property
    def share(self) -> float:
        """Per cent of the recipients."""
        return 100 * self.count / self.recipients if self.recipients else 0.0

    def __str__(self) -> str:
        time = "an hour" if self.hours == 1 else f"{self.hours} hours"
        if self.cause is Cause.NEW_RECIPIENTS:
            return (
                f"{self.count:,} recipients in {time} to whom its account had not written before, "
                f"more than {self.most:,.0f}"
            )
        what = "bounced for good" if self.cause is Cause.BOUNCES else "complained"
        return (
            f"{self.count:,} of {self.recipients:,} recipients in {time} {what}, {self.share:.3g} %, "
            f"more than {self.most:g} %"
        )

    def detail(self) -> dict[str, Any]:
        """Return what the event of it tells."""
        told: dict[str, Any] = {"action": self.action.value, "cause": self.cause.value, "count": self.count}
        if self.cause is not Cause.NEW_RECIPIENTS:
            told |= {"recipients": self.recipients, "share": round(self.share, 3)}
        return told | {"most": self.most, "hours": self.hours}


def judged(counts: Counts, thresholds: Thresholds, at: datetime, message: str = "") -> Iterator[Suspension]:
    """Yield what is to be done: of each cause the harder."""
    hours = round(thresholds.window / HOUR)
    for cause, count in (
        (Cause.BOUNCES, counts.bounces),
        (Cause.COMPLAINTS, counts.complaints),
        (Cause.NEW_RECIPIENTS, counts.new),
    ):
        threshold = thresholds.of.get(cause, Threshold())
        burst = cause is Cause.NEW_RECIPIENTS
        if not burst and counts.recipients < thresholds.least:
            continue
        # Times a hundred, so that nothing is divided: exactly at the threshold is not above it.
        has, of = (count, 1) if burst else (100 * count, counts.recipients)
        for action, most in ((Action.SUSPENDED, threshold.suspend), (Action.WARNED, threshold.warn)):
            if most and has > most * of:
                time = 1 if burst else hours
                yield Suspension(cause, action, at, count, counts.recipients, time, most, message)
                break


def bounced(type_: str, detail: Mapping[str, Any]) -> bool:
    """Say whether an event tells that there is no such mailbox."""
    of_mailbox = detail.get("class") == FailureClass.MAILBOX and detail.get("permanent") is True
    return type_ in ("failed", "bounced") and of_mailbox


def reported(type_: str, detail: Mapping[str, Any]) -> bool:
    """Say whether an event, or what class it is of, comes by mail, and not of our own log."""
    by_log = detail.get("source", "log") == detail.get("upgraded", "log") == "log"
    return type_ != "failed" or not by_log
