"""What is answered to a message by its limits, and when somebody is to be told of how full one is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from gatepost_core.domain.decision import Defer, Reject
from gatepost_core.domain.limits.charges import SHARES, Charge
from gatepost_core.domain.limits.counters import Bucket, Want
from gatepost_core.domain.limits.reading import Kind, Limit, Period
from gatepost_core.domain.texts import stamp

_PARTS: Final = {
    Period.MINUTE: "second",
    Period.HOUR: "minute",
    Period.DAY: "24 minutes",
    Period.MONTH: "12 hours",
}
_PERIODS: Final = {
    Period.MINUTE: "a minute",
    Period.HOUR: "an hour",
    Period.DAY: "a day",
    Period.MONTH: "a month",
}
_SPANS: Final = {
    Period.MINUTE: "60 seconds",
    Period.HOUR: "60 minutes",
    Period.DAY: "24 hours",
    Period.MONTH: "30 days",
}


def too_much(charges: Iterable[Charge]) -> Reject | None:
    """Refuse for good what is more than a whole limit by itself: waiting would not help."""
    for charge in charges:
        if charge.want.amount <= charge.want.most:
            continue
        whose, most, has = _whose(charge), said(charge), _counted(charge)
        if charge.limit.kind is Kind.BYTES:
            return Reject(
                552,
                "5.3.4",
                f"{whose} is limited to {most}, and this message has {has}; send less at once",
                "more than a whole limit",
            )
        return Reject(
            550,
            "5.5.3",
            f"{whose} is limited to {most}, and this message has {has}; send it in parts",
            "more than a whole limit",
        )
    return None


def over(
    charges: Sequence[Charge], found: Sequence[Sequence[Bucket]], *, for_good: bool
) -> Defer | Reject | None:
    """Refuse a message for which a limit has no room, by what counters have; None: there is room in each.

    Of several limits the one is named that has room last. ``for_good``: by 550 in place of 451.
    """
    full = [
        (resets(charge.want, buckets), used(buckets), charge)
        for charge, buckets in zip(charges, found, strict=True)
        if used(buckets) + max(charge.want.amount, 1) > charge.want.most
    ]
    if not full:
        return None
    at, has, charge = max(full, key=lambda one: one[0])
    whose, most, when = _whose(charge), said(charge), moment(at)
    beside = "" if charge.limit.kind is Kind.MESSAGES else f", and this message has {_counted(charge)}"
    reason = f"limit {charge.limit} of {charge.scope} {charge.name}"
    if for_good:
        return Reject(
            550,
            "5.7.1",
            f"{whose} is limited to {most} and has used {has:,}{beside}; it resets at {when}",
            reason,
        )
    return Defer(
        451,
        "4.7.1",
        f"{whose} is limited to {most} and has used {has:,}{beside}; try again after {when}",
        reason,
    )


def used(buckets: Iterable[Bucket]) -> int:
    """Return what a counter has in all."""
    return sum([bucket.used for bucket in buckets])


def resets(want: Want, buckets: Sequence[Bucket]) -> int:
    """Return when a counter has room for what is wanted of it, in seconds since 1970.

    Of a calendar window that is its end; of a sliding one when enough of what is oldest counts no longer.
    """
    if want.first == want.start:
        return want.ends
    lasts = want.ends - want.start
    too_many = used(buckets) + max(want.amount, 1) - want.most
    for bucket in buckets:
        too_many -= bucket.used
        if too_many <= 0:
            return bucket.start + lasts
    return want.ends


def beyond(charges: Sequence[Charge], before: Sequence[int]) -> str:
    """Return why a message is to be held, by what counters had before; '' where no limit holds it."""
    for charge, had in zip(charges, before, strict=True):
        if charge.limit.hold and (has := had + charge.want.amount) > charge.most:
            beside = "" if charge.limit.kind is Kind.MESSAGES else ", this message with it"
            return f"{_whose(charge)} has used {has:,} of {said(charge)}{beside}"
    return ""


class Crossing(NamedTuple):
    """A limit that a message filled to a share of ``SHARES``, in per cent."""

    charge: Charge
    share: int
    used: int

    def detail(self) -> dict[str, Any]:
        """Return what the event of it tells."""
        charge = self.charge
        return {
            "limit": str(charge.limit),
            "scope": charge.scope,
            "name": charge.name,
            "share": self.share,
            "used": self.used,
            "most": charge.most,
            "resets": moment(charge.want.ends),
        }


def crossings(charges: Sequence[Charge], before: Sequence[int]) -> Iterator[Crossing]:
    """Yield the limits that a message filled to a share, by what counters had before; no bursts."""
    for charge, had in zip(charges, before, strict=True):
        most, has = charge.most, had + charge.want.amount
        for share in SHARES:
            if not charge.burst and had * 100 < share * most <= has * 100:
                yield Crossing(charge, share, has)
                break


def moment(seconds: int) -> str:
    """Return seconds since 1970 as people read them."""
    return stamp(datetime.fromtimestamp(seconds, UTC))


def said(charge: Charge) -> str:
    """Return a limit in words: ``500 messages an hour``."""
    limit = charge.limit
    if charge.burst:
        return f"{_number(limit, limit.burst)} {span(charge)}, of {limit.most:,} {_PERIODS[limit.period]}"
    return f"{_number(limit, limit.most)} {span(charge)}"


def span(charge: Charge) -> str:
    """Return the time that a counter counts over in words: ``an hour``, ``in 60 minutes``."""
    period = charge.limit.period
    if charge.burst:
        return f"in each {_PARTS[period]}"
    return f"in {_SPANS[period]}" if charge.limit.sliding else _PERIODS[period]


def _number(limit: Limit, number: int) -> str:
    return f"{number:,} {limit.kind.value if number != 1 else limit.kind.value[:-1]}"


def _counted(charge: Charge) -> str:
    return f"{charge.want.amount:,}"


def _whose(charge: Charge) -> str:
    return f"{charge.scope.capitalize()} {charge.name}"
