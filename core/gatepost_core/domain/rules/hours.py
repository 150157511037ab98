"""When a credential may send: spans of the week, ``[DAYS] [HH:MM-HH:MM]``, by the clock of its account.

``Mon-Fri 08:00-18:00``, ``Sat,Sun``, ``22:00-06:00``. What ends before it begins goes on over midnight, and
belongs to the day that it begins on. The clock on the wall counts: what would open at a time that summer time
leaves out opens when the clocks have been put forward; an hour that comes twice counts twice. Nothing here
knows the time, or where it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final, NamedTuple

from gatepost_core.domain.errors import RuleError, shown
from gatepost_core.domain.limits.windows import zone
from gatepost_core.domain.memo import memo

SPANS_MOST: Final = 21
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_NUMBERS: Final = {day.lower(): number for number, day in enumerate(_DAYS)}
_DAY: Final = 24 * 60
_LOOK_DAYS: Final = 9  # a span that falls into the hour that is left out opens a week later
_SPAN = re.compile(r"(?:([a-z]{3}(?:[-,][a-z]{3}){0,13}))?(?: ?\b(\d\d):(\d\d) ?- ?(\d\d):(\d\d))?")
EXPECTED: Final = "days, times or both, such as Mon-Fri 08:00-18:00, Sat,Sun or 22:00-06:00"


class Span(NamedTuple):
    """A time of some days: ``days`` has 0 for Monday, times are in minutes, ``end`` may be 1,440."""

    days: tuple[int, ...]
    start: int
    end: int

    def __str__(self) -> str:
        """Return the span as ``read`` takes it."""
        return f"{_said(self.days)} {_clock(self.start)}-{_clock(self.end)}"


def read(texts: Iterable[str]) -> tuple[Span, ...]:
    """Return spans that people wrote, each once. Raises RuleError."""
    found = tuple(dict.fromkeys(map(_span, texts)))
    if len(found) > SPANS_MOST:
        raise RuleError(f"{len(found)} times of the week; expected at most {SPANS_MOST}")
    return found


def are(spans: Iterable[Span], now: datetime, zone_name: str) -> bool:
    """Say whether a moment is in one of the spans, by the clock of a time zone."""
    local = now.astimezone(zone(zone_name))
    day, minute = local.weekday(), local.hour * 60 + local.minute
    for days, start, end in spans:
        if start < end:
            if start <= minute < end and day in days:
                return True
        elif (minute >= start and day in days) or (minute < end and (day - 1) % 7 in days):
            return True
    return False


def opens(spans: tuple[Span, ...], now: datetime, zone_name: str) -> datetime | None:
    """Return the first moment (UTC) after ``now`` that is in one of the spans; None: none is in sight."""
    return _opens(spans, int(now.timestamp()) // 60, zone_name)


@memo(256)  # whoever comes too early comes again and again
def _opens(spans: tuple[Span, ...], minute: int, zone_name: str) -> datetime | None:
    now, where = datetime.fromtimestamp(minute * 60, UTC), zone(zone_name)
    today = now.astimezone(where).date()
    for later in range(-1, _LOOK_DAYS):
        day = today + timedelta(days=later)
        begins = {
            begin for span in spans if day.weekday() in span.days for begin in _begins(span, day, where)
        }
        for begin in sorted(begins):
            if begin > now and are(spans, begin, zone_name):
                return begin
    return None


def _begins(span: Span, day: date, where: tzinfo) -> Iterator[datetime]:
    """Yield when a span of a day begins: once, twice in the hour that comes twice, or when a gap ends."""
    wall = datetime.combine(day, time(*divmod(span.start, 60)))
    moments = [wall.replace(tzinfo=where, fold=fold).astimezone(UTC) for fold in (0, 1)]
    if moments[0].astimezone(where).replace(tzinfo=None) == wall:
        yield from moments
        return
    # The clock was put forward over it. In between is the minute at which that happens.
    early, late = sorted(moments)
    while late - early > timedelta(minutes=1):
        middle = (early + (late - early) // 2).replace(second=0, microsecond=0)
        if middle.astimezone(where).replace(tzinfo=None) < wall:
            early = middle
        else:
            late = middle
    yield late


def _span(text: str) -> Span:
    match = _SPAN.fullmatch(" ".join(text.lower().split())) if len(text) <= 100 else None
    if match is None or not any(match.groups()):
        raise RuleError(f"{shown(text)} is no time of the week; expected {EXPECTED}")
    days = _read_days(text, match[1]) if match[1] else tuple(range(7))
    if match[2] is None:
        return Span(days, 0, _DAY)
    start, end = _minutes(text, match[2], match[3]), _minutes(text, match[4], match[5])
    if start in {end, _DAY} or not end:
        raise RuleError(
            f"{shown(text)} ends as it begins, begins at 24:00 or ends at 00:00; expected two times from "
            "00:00 to 24:00"
        )
    return Span(days, start, end)


def _read_days(text: str, days: str) -> tuple[int, ...]:
    found = set[int]()
    for part in days.split(","):
        first, dash, last = part.partition("-")
        wrong = next((one for one in (first, last) if (one or dash) and one not in _NUMBERS), None)
        if wrong is not None:
            raise RuleError(f"{shown(text)}: {shown(wrong)} is no day; expected {', '.join(_DAYS)}")
        begin = _NUMBERS[first]
        count = (_NUMBERS[last] - begin) % 7 if dash else 0
        found |= {(begin + number) % 7 for number in range(count + 1)}
    return tuple(sorted(found))


def _minutes(text: str, hour: str, minute: str) -> int:
    found = int(hour) * 60 + int(minute)
    if int(minute) > 59 or found > _DAY:
        raise RuleError(f"{shown(text)}: {hour}:{minute} is no time; expected 00:00 to 24:00")
    return found


def _said(days: tuple[int, ...]) -> str:
    runs = list[list[int]]()
    for day in days:
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(
        f"{_DAYS[run[0]]}-{_DAYS[run[-1]]}" if len(run) > 2 else ",".join(_DAYS[day] for day in run)
        for run in runs
    )


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
