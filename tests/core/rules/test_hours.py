"""When a credential may send: by the clock on the wall, when it is put forward and back, too."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain import RuleError
from gatepost_core.domain.rules import hours
from tests.steps import World, assert_linear

AMSTERDAM = "Europe/Amsterdam"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("Mon-Fri 08:00-18:00", "Mon-Fri 08:00-18:00"),
        ("  MON-fri   08:00 - 18:00 ", "Mon-Fri 08:00-18:00"),
        ("sat,sun", "Sat,Sun 00:00-24:00"),
        ("22:00-06:00", "Mon-Sun 22:00-06:00"),
        ("Fri-Mon 12:00-24:00", "Mon,Fri-Sun 12:00-24:00"),
        ("Mon,Wed,Fri", "Mon,Wed,Fri 00:00-24:00"),
        ("Tue,Mon,Tue-Wed", "Mon-Wed 00:00-24:00"),
    ],
)
def test_what_is_written_is_read_and_shown_in_one_way(text: str, canonical: str) -> None:
    (span,) = hours.read([text])
    assert str(span) == canonical
    assert hours.read([canonical]) == (span,)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "'' is no time of the week; expected days, times or both, such as Mon-Fri 08:00-18:00"),
        ("Mon-Fri 8-18", "'Mon-Fri 8-18' is no time of the week; expected"),
        ("Mon 08:00", "is no time of the week; expected"),
        ("Mun 08:00-18:00", "'mun' is no day; expected Mon, Tue, Wed, Thu, Fri, Sat, Sun"),
        ("Mon- 08:00-18:00", "is no time of the week; expected"),
        ("25:00-26:00", "25:00 is no time; expected 00:00 to 24:00"),
        ("08:60-18:00", "08:60 is no time; expected 00:00 to 24:00"),
        ("08:00-08:00", "expected two times from 00:00 to 24:00"),
        ("24:00-08:00", "expected two times from 00:00 to 24:00"),
        ("08:00-00:00", "expected two times from 00:00 to 24:00"),
        ("Mon08:00-18:00", "is no time of the week; expected"),
    ],
)
def test_what_is_no_time_names_itself_and_what_may_stand_there(text: str, says: str) -> None:
    with pytest.raises(RuleError) as caught:
        hours.read([text])
    assert says in str(caught.value)


def test_there_may_not_be_more_spans_than_a_week_needs() -> None:
    with pytest.raises(RuleError, match="22 times of the week; expected at most 21"):
        hours.read([f"{hour:02}:00-{hour:02}:30" for hour in range(22)])


@pytest.mark.parametrize(
    ("spans", "now", "zone", "opens"),
    [
        (["Mon-Fri 08:00-18:00"], "2026-11-27T17:00", "UTC", None),
        (["Mon-Fri 08:00-18:00"], "2026-11-27T18:00", "UTC", "2026-11-30T08:00"),
        (["Mon-Fri 08:00-18:00"], "2026-11-27T17:00", AMSTERDAM, "2026-11-30T07:00"),
        (["Sat", "12:00-13:00"], "2026-11-27T13:00", "UTC", "2026-11-28T00:00"),
        (["Fri 22:00-06:00"], "2026-11-28T05:59", "UTC", None),
        (["Fri 22:00-06:00"], "2026-11-28T06:00", "UTC", "2026-12-04T22:00"),
        (["Fri 22:00-06:00"], "2026-11-27T05:00", "UTC", "2026-11-27T22:00"),
        (["Sun 22:00-06:00"], "2026-11-30T05:00", "UTC", None),
        # Clocks are put forward at 01:00 UTC, from 02:00 to 03:00.
        (["02:30-05:00"], "2026-03-29T00:59", AMSTERDAM, "2026-03-29T01:00"),
        (["02:30-05:00"], "2026-03-29T01:00", AMSTERDAM, None),
        (["02:30-05:00"], "2026-03-28T00:00", AMSTERDAM, "2026-03-28T01:30"),
        (["Sun 02:15-02:45"], "2026-03-29T00:00", AMSTERDAM, "2026-04-05T00:15"),
        (["08:00-18:00"], "2026-03-29T05:59", AMSTERDAM, "2026-03-29T06:00"),
        # And back at 01:00 UTC, from 03:00 to 02:00: the hour from two to three comes twice.
        (["02:30-03:00"], "2026-10-25T00:00", AMSTERDAM, "2026-10-25T00:30"),
        (["02:30-03:00"], "2026-10-25T00:45", AMSTERDAM, None),
        (["02:30-03:00"], "2026-10-25T01:00", AMSTERDAM, "2026-10-25T01:30"),
        (["02:30-03:00"], "2026-10-25T01:30", AMSTERDAM, None),
        (["02:30-03:00"], "2026-10-25T02:00", AMSTERDAM, "2026-10-26T01:30"),
        # A day that was left out, and half an hour.
        (["Fri 10:00-12:00"], "2011-12-30T09:00", "Pacific/Apia", "2012-01-05T20:00"),
        (["02:10-04:00"], "2026-10-03T15:29", "Australia/Lord_Howe", "2026-10-03T15:30"),
    ],
)
def test_the_clock_on_the_wall_says_whether_it_is_open_and_when_it_opens(
    spans: list[str], now: str, zone: str, opens: str | None
) -> None:
    read = hours.read(spans)
    assert hours.are(read, moment(now), zone) is (opens is None)
    if opens is not None:
        found = hours.opens(read, moment(now), zone)
        assert found == moment(opens)
        assert hours.are(read, found, zone)


span = st.builds(
    hours.Span,
    st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days))),
    st.integers(0, 1439),
    st.integers(1, 1440),
).filter(lambda one: one.start != one.end)


@given(
    st.lists(span, min_size=1, max_size=4).map(tuple),
    st.integers(0, 350 * 1440).map(lambda minutes: moment("2026-01-01T00:00") + timedelta(minutes=minutes)),
    st.sampled_from(["UTC", AMSTERDAM, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_nothing_is_open_before_the_time_that_is_named(
    spans: tuple[hours.Span, ...], now: datetime, zone: str
) -> None:
    begin = now
    if not hours.are(spans, begin, zone):
        found = hours.opens(spans, begin, zone)
        assert found is not None
        assert hours.are(spans, found, zone)
        step = max((found - begin) // 500, timedelta(minutes=1))
        for number in range(500):
            before = begin + number * step
            assert before >= found or not hours.are(spans, before, zone)
        assert not hours.are(spans, found - timedelta(minutes=1), zone)


def test_a_time_zone_that_the_host_lacks_counts_as_utc() -> None:
    assert hours.are(hours.read(["12:00-13:00"]), moment("2026-11-28T12:30"), "Nowhere/At_All")


def test_times_are_read_in_linear_time(world: World) -> None:
    counted, domain = world.load("gatepost_core.domain.rules.hours"), world.load("gatepost_core.domain")

    def read(text: str) -> None:
        with suppress(domain.RuleError):
            counted.read([text])

    for unit in ("mon,", "mon-", " ", "08:00-", "a", "\u00df"):
        assert_linear(world, lambda size, unit=unit: unit * size, read)  # type: ignore[misc]
