"""A limit as a value, and as people write it: ``[messages|recipients|bytes=]N/PERIOD``, then ``:sliding``,
``:burst=N`` and ``:hold``, the last two not together.

``N`` may end in K, M, G or T (thousands and so on). Without a kind it counts messages. A calendar limit
counts from the beginning of the minute, hour, day or month; ``sliding`` over the time just past, where a
month has 30 days. ``burst``: no more than that in a sixtieth of the period. ``hold``: what is beyond is not
refused but held, until somebody releases it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gatepost_core.domain.errors import shown
from gatepost_core.domain.texts import SCALES

LIMITS_MOST: Final = 12
_NUMBER_MOST: Final = 10**15
_LIMIT = re.compile(r"(?:([a-z]{1,12})=)?([0-9]{1,16})([kmgt]?)/([a-z]{1,12})((?::[a-z0-9=]{1,24}){0,4})")
_BURST = re.compile(r"burst=([0-9]{1,16})([kmgt]?)")
EXPECTED: Final = (
    "[messages|recipients|bytes=]N/PERIOD, where PERIOD is minute, hour, day or month, such as 500/hour, "
    "recipients=10K/day or bytes=1G/month; after it there may be :sliding and either :burst=N or :hold"
)


class LimitError(ValueError):
    """A text is no limit, or limits do not go together; the text names it and says what may stand there."""


class Kind(StrEnum):
    """What a limit counts."""

    MESSAGES = "messages"
    RECIPIENTS = "recipients"
    BYTES = "bytes"


class Period(StrEnum):
    """The time that a limit counts over."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``most`` in a period; ``burst``: at most so many in a sixtieth of it, 0: that is free.

    ``hold``: what is more is held.
    """

    most: int
    period: Period
    kind: Kind = Kind.MESSAGES
    sliding: bool = False
    burst: int = 0
    hold: bool = False

    def __str__(self) -> str:
        """Return the limit as ``read`` takes it."""
        more = (":sliding" if self.sliding else "") + (f":burst={_short(self.burst)}" if self.burst else "")
        more += ":hold" if self.hold else ""
        return f"{self.kind.value}={_short(self.most)}/{self.period.value}{more}"


def read(text: str) -> Limit:
    """Return the limit that a text spells. Raises LimitError."""
    match = _LIMIT.fullmatch(text.strip().lower()) if len(text) <= 120 else None
    if match is None:
        raise LimitError(f"{shown(text)} is no limit; expected {EXPECTED}, or none")
    kind, number, scale, period, options = match.groups()
    if kind not in (None, *Kind):
        raise LimitError(f"{shown(text)}: {kind} cannot be limited; expected messages, recipients or bytes")
    if period not in list(Period):
        raise LimitError(f"{shown(text)}: {period} is no period; expected minute, hour, day or month")
    most, sliding, burst, hold = _scaled(text, number, scale), False, 0, False
    for option in options.split(":")[1:]:
        found = _BURST.fullmatch(option)
        if option == "sliding" and not sliding:
            sliding = True
        elif option == "hold" and not hold:
            hold = True
        elif found is not None and not burst:
            burst = _scaled(text, *found.groups())
        else:
            raise LimitError(
                f"{shown(text)}: {option} is not understood; expected sliding, burst=N or hold, once each"
            )
    if burst and hold:
        raise LimitError(f"{shown(text)}: what is beyond a burst cannot be held; expected burst=N or hold")
    if burst >= most:
        raise LimitError(f"{shown(text)}: a burst of {burst} changes nothing; expected less than {most}")
    return Limit(most, Period(period), Kind(kind or Kind.MESSAGES), sliding, burst, hold)


def limits(texts: Iterable[str]) -> tuple[Limit, ...]:
    """Return the limits of several texts; ``none``, which stands alone, is no limit. Raises LimitError."""
    listed = [text.strip() for text in texts]
    others = [text for text in listed if text.lower() != "none"]
    if len(others) < len(listed):
        if others:
            raise LimitError(f"none stands alone, and there is {shown(others[0])}")
        return ()
    found = tuple(read(text) for text in listed)
    if len(found) > LIMITS_MOST:
        raise LimitError(f"{len(found)} limits; expected at most {LIMITS_MOST}")
    seen: dict[tuple[Kind, Period, bool, bool], Limit] = {}
    for limit in found:
        other = seen.setdefault((limit.kind, limit.period, limit.sliding, limit.hold), limit)
        if other is not limit:
            raise LimitError(f"{other} and {limit} limit the same; expected one of them")
    return found


def _scaled(text: str, number: str, scale: str) -> int:
    value = int(number) * SCALES[scale.upper()]
    if not 1 <= value <= _NUMBER_MOST:
        raise LimitError(f"{shown(text)}: expected a number from 1 to {_NUMBER_MOST}")
    return value


def _short(number: int) -> str:
    for letter, scale in reversed(SCALES.items()):
        if number % scale == 0:
            return f"{number // scale}{letter}"
    return str(number)
