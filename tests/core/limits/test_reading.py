"""How limits are written, and what is said of what is none."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain.limits import Kind, Limit, LimitError, Period, limits, read
from tests.steps import World, assert_linear


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("500/hour", Limit(500, Period.HOUR)),
        (" Messages=500/HOUR ", Limit(500, Period.HOUR)),
        ("recipients=10k/day", Limit(10_000, Period.DAY, Kind.RECIPIENTS)),
        ("bytes=2G/month:sliding", Limit(2_000_000_000, Period.MONTH, Kind.BYTES, sliding=True)),
        ("1000/minute:burst=50", Limit(1000, Period.MINUTE, burst=50)),
        ("200/hour:hold", Limit(200, Period.HOUR, hold=True)),
        ("bytes=1G/day:hold:sliding", Limit(10**9, Period.DAY, Kind.BYTES, sliding=True, hold=True)),
        ("1M/day:burst=1K:sliding", Limit(1_000_000, Period.DAY, sliding=True, burst=1000)),
    ],
)
def test_a_limit_is_read_as_people_write_it(text: str, limit: Limit) -> None:
    assert read(text) == limit


@given(
    st.builds(
        Limit,
        st.integers(2, 10**15),
        st.sampled_from(Period),
        st.sampled_from(Kind),
        st.booleans(),
        st.integers(0, 1),
    )
)
def test_what_is_written_is_read_as_the_same(limit: Limit) -> None:
    assert read(str(limit)) == limit


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("500", "'500' is no limit; expected [messages|recipients|bytes=]N/PERIOD"),
        ("", "'' is no limit"),
        ("-5/hour", "'-5/hour' is no limit"),
        ("5 /hour", "'5 /hour' is no limit"),
        ("\uff15/hour", "is no limit"),
        ("500/week", "week is no period; expected minute, hour, day or month"),
        ("mails=5/hour", "mails cannot be limited; expected messages, recipients or bytes"),
        ("0/hour", "expected a number from 1 to 1000000000000000"),
        ("9999T/hour", "expected a number from 1 to 1000000000000000"),
        ("5/hour:burst", "burst is not understood; expected sliding, burst=N or hold, once each"),
        ("5/hour:sliding:sliding", "sliding is not understood"),
        ("5/hour:burst=2:burst=3", "burst=3 is not understood"),
        ("5/hour:burst=5", "a burst of 5 changes nothing; expected less than 5"),
        ("5/hour:hold:hold", "hold is not understood"),
        ("5/hour:hold:burst=2", "what is beyond a burst cannot be held; expected burst=N or hold"),
        ("5/hour:burst=0", "expected a number from 1"),
        ("9" * 200 + "/hour", "is no limit"),
    ],
)
def test_what_is_no_limit_is_named_with_what_may_stand_there(text: str, said: str) -> None:
    with pytest.raises(LimitError) as caught:
        read(text)
    assert said in str(caught.value)
    assert repr(text)[:40] in str(caught.value)


def test_several_limits_go_together_but_not_two_of_one_kind_and_period() -> None:
    assert [str(one) for one in limits(["500/hour", "5K/day", "bytes=1G/day", "500/hour:sliding"])] == [
        "messages=500/hour", "messages=5K/day", "bytes=1G/day", "messages=500/hour:sliding",
    ]  # fmt: skip
    assert len(limits(["5/hour:hold", "6/hour"])) == 2
    with pytest.raises(LimitError, match="messages=5/hour and messages=6/hour limit the same"):
        limits(["5/hour", "6/hour"])
    with pytest.raises(LimitError, match="13 limits; expected at most 12"):
        limits(["5/hour"] * 13)


def test_none_is_no_limit_and_stands_alone() -> None:
    assert limits(["none"]) == limits([]) == ()
    with pytest.raises(LimitError, match="none stands alone, and there is '5/hour'"):
        limits(["None", "5/hour"])


@given(st.text(max_size=200))
def test_whatever_is_written_is_a_limit_or_refused_in_words(text: str) -> None:
    with suppress(LimitError):
        found = read(text)
        assert read(str(found)) == found


def test_a_long_text_costs_no_more_than_its_length(world: World) -> None:
    module = world.load("gatepost_core.domain.limits.reading")

    def tried(text: str) -> None:
        with suppress(module.LimitError):
            module.read(text)

    assert_linear(world, lambda n: "messages=1/hour" + ":burst=1" * n, tried)
