"""A chart of bars as numbers to draw by, and the same as a table: hours of a day, or days. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from gatepost_core.service.showing.overview import Counts

WIDTH: Final = 720
HEIGHT: Final = 150
_FOOT: Final = 20
_HOURS: Final = 48


class Bar(NamedTuple):
    """A bar: its time, its numbers, where it stands, and how high both parts are."""

    label: str
    sent: int
    bad: int
    x: float
    width: float
    height: float
    bad_height: float
    foot: str


class Chart(NamedTuple):
    """Bars, and what stands at the top of the scale."""

    bars: tuple[Bar, ...]
    most: int
    unit: str


def chart(hours: Mapping[datetime, Counts], since: datetime, now: datetime) -> Chart:
    """Return a chart from ``since`` to ``now``: by the hour up to two days, else by the day (UTC)."""
    by_hour = now - since <= timedelta(hours=_HOURS)
    step = timedelta(hours=1) if by_hour else timedelta(days=1)
    at = _begin(since, by_hour=by_hour)
    found: dict[datetime, list[int]] = {}
    while at <= now:
        found[at] = [0, 0]
        at += step
    for hour, one in hours.items():
        numbers = found.get(_begin(hour, by_hour=by_hour))
        if numbers is not None:
            numbers[0] += one.events.get("accepted", 0)
            numbers[1] += one.events.get("failed", 0) + one.events.get("bounced", 0)
    most = max([max(numbers) for numbers in found.values()], default=0)
    return Chart(tuple(_bars(found, max(most, 1), by_hour=by_hour)), most, "hour" if by_hour else "day")


def _begin(time: datetime, *, by_hour: bool) -> datetime:
    time = time.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return time if by_hour else time.replace(hour=0)


def _bars(found: Mapping[datetime, list[int]], most: int, *, by_hour: bool) -> list[Bar]:
    width, bars = WIDTH / len(found), []
    every = max(len(found) // 6, 1)
    for number, (at, (sent, bad)) in enumerate(found.items()):
        label = at.strftime("%Y-%m-%d %H:%M" if by_hour else "%Y-%m-%d")
        foot = (
            at.strftime("%H:%M" if by_hour else "%d %b")
            if number % every == 0 and number * width < WIDTH - 40
            else ""
        )
        room = HEIGHT - _FOOT - 8
        bars.append(
            Bar(
                label,
                sent,
                bad,
                round(number * width + width * 0.12, 2),
                round(width * 0.76, 2),
                round(sent / most * room, 2),
                round(min(bad, most) / most * room, 2),
                foot,
            )
        )
    return bars
