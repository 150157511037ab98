"""When a limit counts: calendar windows in a time zone, sliding windows, bursts, and clocks that change."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain.limits import Limit, LimitError, Period
from gatepost_core.domain.limits.windows import burst_window, time_zone, window

ZONES = (
    "UTC", "Europe/Amsterdam", "America/New_York", "America/Santiago", "America/Havana", "Asia/Kathmandu",
    "Australia/Lord_Howe", "Africa/Cairo", "Asia/Beirut", "Pacific/Apia",
)  # fmt: skip


# period, time, zone, and the window that it is in
CALENDAR = """
minute 2026-11-28T05:29:59Z UTC 2026-11-28T05:29:00+00:00 2026-11-28T05:30:00+00:00
hour 2026-11-28T05:29:59Z Asia/Kathmandu 2026-11-28T11:00:00+05:45 2026-11-28T12:00:00+05:45
day 2026-11-27T23:30:00Z Europe/Amsterdam 2026-11-28T00:00:00+01:00 2026-11-29T00:00:00+01:00
month 2026-11-30T23:30:00Z Europe/Amsterdam 2026-12-01T00:00:00+01:00 2027-01-01T00:00:00+01:00
month 2028-02-29T12:00:00Z UTC 2028-02-01T00:00:00+00:00 2028-03-01T00:00:00+00:00
# Summer time begins: a day of 23 hours, and no hour from 2 to 3.
day 2026-03-29T12:00:00Z Europe/Amsterdam 2026-03-29T00:00:00+01:00 2026-03-30T00:00:00+02:00
hour 2026-03-29T00:59:00Z Europe/Amsterdam 2026-03-29T01:00:00+01:00 2026-03-29T03:00:00+02:00
# It ends: a day of 25 hours, and the hour from 2 to 3 twice.
day 2026-10-25T12:00:00Z Europe/Amsterdam 2026-10-25T00:00:00+02:00 2026-10-26T00:00:00+01:00
hour 2026-10-25T00:30:00Z Europe/Amsterdam 2026-10-25T02:00:00+02:00 2026-10-25T02:00:00+01:00
hour 2026-10-25T01:30:00Z Europe/Amsterdam 2026-10-25T02:00:00+01:00 2026-10-25T03:00:00+01:00
# A midnight that does not exist, and one that comes twice.
day 2026-09-06T12:00:00Z America/Santiago 2026-09-06T01:00:00-03:00 2026-09-07T00:00:00-03:00
day 2024-11-03T12:00:00Z America/Havana 2024-11-03T00:00:00-04:00 2024-11-04T00:00:00-05:00
# Half an hour.
hour 2026-04-04T15:15:00Z Australia/Lord_Howe 2026-04-05T01:00:00+11:00 2026-04-05T02:00:00+10:30
"""


def at(text: str) -> int:
    """Return the seconds since 1970 of a time that says its zone."""
    return int(datetime.fromisoformat(text).timestamp())


def calendar(period: Period, text: str, zone: str) -> tuple[str, str]:
    """Return start and end of the window that a time is in, as the wall clock of the zone has them."""
    found = window(Limit(1, period), at(text), zone)
    assert found.first == found.start
    names = [datetime.fromtimestamp(one, ZoneInfo(zone)).isoformat() for one in (found.start, found.ends)]
    return names[0], names[1]


@pytest.mark.parametrize("row", [line for line in CALENDAR.splitlines() if line and line[0] != "#"])
def test_a_calendar_window_begins_when_the_wall_clock_says_so(row: str) -> None:
    period, now, zone, start, ends = row.split()
    assert calendar(Period(period), now, zone) == (start, ends)


@given(
    st.sampled_from(ZONES),
    st.sampled_from([Period.HOUR, Period.DAY, Period.MONTH]),
    st.integers(at("2026-01-01T00:00Z"), at("2029-01-01T00:00Z")),
)
def test_windows_follow_on_each_other_without_a_gap_or_an_overlap(
    zone: str, period: Period, now: int
) -> None:
    limit = Limit(1, period)
    found = window(limit, now, zone)
    assert found.start <= now < found.ends
    assert window(limit, found.ends - 1, zone) == found
    assert window(limit, found.start, zone) == found
    assert window(limit, found.ends, zone).start == found.ends


@given(st.sampled_from(Period), st.integers(0, 2**33), st.integers(0, 40 * 86_400))
def test_in_no_time_as_long_as_the_period_does_more_count_than_in_one_sliding_window(
    period: Period, then: int, later: int
) -> None:
    length = {Period.MINUTE: 60, Period.HOUR: 3600, Period.DAY: 86_400, Period.MONTH: 30 * 86_400}[period]
    limit = Limit(5, period, sliding=True)
    taken, found = window(limit, then, "UTC"), window(limit, then + later, "UTC")
    counts = found.first <= taken.start <= found.start
    assert counts == (then + later < taken.ends)
    assert counts or later > length
    assert not counts or later < length + 2 * length // 60


def test_a_burst_is_counted_in_a_sixtieth_of_the_period() -> None:
    now = at("2026-11-28T05:29:59Z")
    assert burst_window(Limit(5, Period.HOUR, burst=2), now) == (now - 59, now - 59, now + 1)
    assert burst_window(Limit(5, Period.MINUTE, burst=2), now) == (now, now, now + 1)


@pytest.mark.parametrize(
    "name", ["Mars/Base", "", "../etc/passwd", "/etc/localtime", "Europe", "x" * 500, "a\0b"]
)
def test_a_time_zone_that_the_host_lacks_is_named_and_refused(name: str) -> None:
    with pytest.raises(LimitError, match="is no time zone that this host knows; expected one of the IANA"):
        time_zone(name)
    assert time_zone("Europe/Amsterdam") == "Europe/Amsterdam"


def test_a_clock_that_is_put_back_finds_the_window_that_it_was_in() -> None:
    limit, now = Limit(1, Period.DAY), datetime(2026, 11, 28, 0, 0, 1, tzinfo=UTC)
    before = window(limit, int(now.timestamp()), "UTC")
    assert window(limit, int((now - timedelta(seconds=2)).timestamp()), "UTC").ends == before.start
    assert window(limit, int(now.timestamp()), "UTC") == before


def test_time_zones_are_there_on_a_host_that_has_none() -> None:
    code = "from gatepost_core.domain.limits import windows; print(windows.time_zone('Europe/Amsterdam'))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONTZPATH": ""},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert run.stdout == "Europe/Amsterdam\n"
