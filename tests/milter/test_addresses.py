"""From addresses: none slips by, and what cannot be read matches no rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_milter import addresses as addresses_module
from gatepost_milter.addresses import UNREADABLE, from_addresses
from gatepost_milter.message import Header


def addresses(*values: str | bytes) -> list[str]:
    return from_addresses(Header(b"From", v if isinstance(v, bytes) else v.encode()) for v in values)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (" a@example.test", ["a@example.test"]),
        (" Ann <a@example.test>", ["a@example.test"]),
        (' "Ann, Bob" <a@example.test>', ["a@example.test"]),
        (" A <a@example.test>,\n b@example.org", ["a@example.test", "b@example.org"]),
        (
            " Team: a@example.test, B <b@example.org>; , c@example.net",
            ["a@example.test", "b@example.org", "c@example.net"],
        ),
        (" Nobody:;", []),
        (" a@example.test (comment (b@example.org))", ["a@example.test"]),
        (' "a b"@example.test', ["a b@example.test"]),
        (" a . b @ example . test", ["a.b@example.test"]),
        (" =?utf-8?q?Ann_=C3=A9?= <a@example.test>", ["a@example.test"]),
        (b" Ann \xe9 <a@example.test>", ["a@example.test"]),
        (" Ann <a@exämple.test>", ["a@exämple.test"]),
        (
            " =?utf-8?q?Boss_=3Cboss=40example=2Eorg=3E?= <a@example.test>",
            ["a@example.test", "boss@example.org"],
        ),
        (' "Boss <boss@example.org>" <a@example.test>', ["a@example.test", "boss@example.org"]),
        (r' "Boss \<boss@example.org\>" <a@example.test>', ["a@example.test", "boss@example.org"]),
        (' "Boss <boss\uff20example.org>" <a@example.test>', ["a@example.test", "boss@example.org"]),
        (' "Boss <boss@\u200bexample.org>" <a@example.test>', ["a@example.test", "boss@example.org"]),
        (' "A <A@Example.test>" <a@example.test>', ["a@example.test"]),
        (" \"'boss@example.org' via List\" <a@example.test>", ["a@example.test"]),
        (' "M@tt of Team @ Acme, @acme" <a@example.test>', ["a@example.test"]),
    ],
)
def test_every_address_of_a_from_field_is_found(value: str | bytes, expected: list[str]):
    assert addresses(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        " boss@example.org <a@example.test>",
        " <boss@example.org> <a@example.test>",
        " <a@example.test> boss@example.org",
        " <a@example.test",
        " Ann",
        " a@b@example.test",
        " <@relay.test:a@example.test>",
        " a@example.test\\",
        ' "open <a@example.test>',
        " (open a@example.test",
        " =?utf-8?q?boss=40example=2Eorg?=",
        " a@example.test;b@example.org",
        b" a@ex\xe9mple.test\x00",
        " a@example.test\r b@example.org",
        ' "Boss <boss@example.org>": a@example.test;',
    ],
)
def test_what_is_no_clear_address_yields_a_token_that_matches_no_rule(value: str | bytes):
    assert UNREADABLE in addresses(value)
    assert "@" not in UNREADABLE


def test_several_from_fields_all_count():
    assert addresses(" a@example.test", " b@example.org") == ["a@example.test", "b@example.org"]


@given(st.text(alphabet='ab@.<>,;:"\\() =?\n[]', max_size=60))
def test_any_text_is_read_without_an_error_and_an_at_sign_never_vanishes(value: str):
    found = addresses(" " + value)
    outside = value
    if "@" in outside and not any(sign in outside for sign in '("'):
        assert found, "an address-like text leaves a trace"


@given(st.from_regex(addresses_module._SIMPLE, fullmatch=True))
def test_the_short_way_for_plain_fields_says_what_the_parser_says(value: bytes):
    assert addresses(value) == addresses_module._parsed(value) != [UNREADABLE]
