"""The time that a limit counts over: calendar windows in a time zone, sliding ones, and bursts.

All times are whole seconds since 1970, UTC; a window is named by its start, so that the hour that comes twice
when summer time ends is two windows. Minutes, hours, days and months begin when the wall clock says so; a day
whose midnight does not exist begins with the first moment that it has. A sliding window is as long as its
period (a month has 30 days), in 60 sub-buckets before the one that is being filled: within any such time
nothing more passes than the limit.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gatepost_core.domain.errors import shown
from gatepost_core.domain.limits.reading import Limit, LimitError, Period
from gatepost_core.domain.memo import memo

PARTS: Final = 60
SECONDS: Final = {Period.MINUTE: 60, Period.HOUR: 3_600, Period.DAY: 86_400, Period.MONTH: 30 * 86_400}
DEFAULT_ZONE: Final = "UTC"


class Window(NamedTuple):
    """``start`` is the bucket that is being filled, ``first`` the oldest that counts.

    From ``ends`` on what is in ``start`` counts no longer.
    """

    start: int
    first: int
    ends: int


def window(limit: Limit, now: int, zone_name: str) -> Window:
    """Return a limit's window at a time. A time zone that this host lacks counts as UTC."""
    if limit.sliding:
        part = SECONDS[limit.period] // PARTS
        start = now // part * part
        return Window(start, start - PARTS * part, start + (PARTS + 1) * part)
    if limit.period is Period.MINUTE:
        start = now // 60 * 60
        return Window(start, start, start + 60)
    start, ends = _calendar(zone_name, limit.period.value, now // 60)
    return Window(start, start, ends)


def burst_window(limit: Limit, now: int) -> Window:
    """Return the sixtieth of a limit's period that a time is in."""
    part = SECONDS[limit.period] // PARTS
    start = now // part * part
    return Window(start, start, start + part)


def time_zone(name: str) -> str:
    """Return the name of a time zone that this host knows. Raises LimitError."""
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise LimitError(
            f"{shown(name)} is no time zone that this host knows; expected one of the IANA time zone "
            "database, such as Europe/Amsterdam or UTC"
        ) from None


@memo(256)
def zone(name: str) -> tzinfo:
    """Return a time zone; UTC for one that this host lacks."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


@memo(512)  # the windows of a minute are the same for all messages in it
def _calendar(name: str, period: str, minute: int) -> tuple[int, int]:
    """Return start and end of the hour, day or month that a minute since 1970 is in."""
    local = datetime.fromtimestamp(minute * 60, zone(name))
    if period == Period.HOUR.value:
        start = _hour(local)
        # Where clocks are put back by half an hour, one hour has ninety minutes.
        after = [_hour(datetime.fromtimestamp(start + later, local.tzinfo)) for later in (3_600, 5_400)]
        return start, after[0] if after[0] > start else after[1]
    midnight = local.replace(hour=0, minute=0, second=0, fold=0)
    if period == Period.MONTH.value:
        midnight = midnight.replace(day=1)
        later = (midnight.replace(tzinfo=None) + timedelta(days=32)).replace(day=1)
    else:
        later = midnight.replace(tzinfo=None) + timedelta(days=1)
    return _seconds(midnight), _seconds(later.replace(tzinfo=local.tzinfo))


def _hour(local: datetime) -> int:
    return _seconds(local.replace(minute=0, second=0))


def _seconds(local: datetime) -> int:
    return int(local.timestamp())
