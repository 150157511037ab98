"""What strangers write is read in linear time, whatever it is: cursors, tokens, scopes, Authorization."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain import BadValue
from gatepost_core.domain.access import EVERY, ScopeError, scopes
from gatepost_core.keys.api_tokens import TOKEN_PREFIX, new_token
from gatepost_core.keys.passwords import generated
from gatepost_dashboard.http import cursor
from gatepost_dashboard.http.bearer import token_of
from gatepost_dashboard.http.rates import Rates
from tests.steps import World, assert_linear


@given(st.text(alphabet=st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=60))
def test_a_cursor_is_read_back_by_its_own_list_alone(place: str) -> None:
    text = cursor.write("things", place)
    assert cursor.read("things", text) == place
    with pytest.raises(BadValue):
        cursor.read("others", text)


@given(st.text(max_size=80))
def test_any_text_is_a_cursor_or_a_bad_value(text: str) -> None:
    with suppress(BadValue):
        place = cursor.read("things", text)
        assert not text or cursor.read("things", cursor.write("things", place)) == place
    with suppress(BadValue):
        assert cursor.number("things", text) is not None or not text


@given(st.text(max_size=80))
def test_any_text_has_a_token_in_it_or_none(text: str) -> None:
    assert " " not in token_of(text)
    assert generated(text, TOKEN_PREFIX) in (True, False)
    with suppress(ScopeError):
        assert scopes([text]) <= EVERY


def test_a_new_token_is_known_by_its_form_and_a_mistyped_one_is_not() -> None:
    token = new_token()
    assert generated(token, TOKEN_PREFIX)
    assert token_of(f"Bearer {token}") == token_of(f"bearer  {token} ") == token
    assert token_of(f"Basic {token}") == token_of(token) == token_of(None) == ""
    for wrong in (token[:-1], token[:-1] + ("a" if token[-1] != "a" else "b"), token.replace("gpt_", "gps_")):
        assert not generated(wrong, TOKEN_PREFIX)


def test_long_cursors_tokens_and_fields_are_read_in_linear_time(world: World) -> None:
    bad_value = world.load("gatepost_core.domain.errors").BadValue
    read = world.load("gatepost_dashboard.http.cursor").read
    access = world.load("gatepost_core.domain.access.scopes")

    def of_cursor(text: str) -> None:
        with pytest.raises(bad_value):
            read("things", text)

    def of_scopes(text: str) -> None:
        with pytest.raises(access.ScopeError):
            access.scopes([text])

    assert_linear(world, lambda n: "A" * n, of_cursor)
    assert_linear(world, lambda n: "read:" * n, of_scopes)
    field = world.load("gatepost_dashboard.http.bearer").token_of
    assert_linear(world, lambda n: "Bearer " + "=" * n, field)
    known = world.load("gatepost_core.keys.passwords").generated
    assert_linear(world, lambda n: "gpt_" + "A" * n, lambda text: known(text, "gpt_"))


def test_who_waits_may_ask_again_and_the_memory_of_who_asked_is_bounded() -> None:
    rates = Rates(60)
    assert [rates.take("a", 0.0).retry for _ in range(61)] == [0] * 60 + [1]
    assert rates.take("a", 1.1).retry == 0
    assert rates.take("b", 1.1).remaining == 59
    for number in range(30_000):
        rates.take(str(number), 2.0)
    assert len(rates._left) == 20_000
