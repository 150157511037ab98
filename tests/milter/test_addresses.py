"""From addresses: none slips by, and what cannot be read matches no rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain.rules import UNREADABLE
from gatepost_milter.editing.headers import Header
from gatepost_milter.parts import addresses as addresses_module
from gatepost_milter.parts.addresses import from_addresses, sender_addresses

from ..steps import World, assert_linear


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
        (' "Bob via alice@other.test" <a@example.test>', ["a@example.test"]),
        (
            " =?utf-8?q?Boss_=FF=3Cboss=40example=2Eorg=3E?= <a@example.test>",
            ["a@example.test", "boss@example.org"],
        ),
        (b' "Boss \xff <boss@example.org>" <a@example.test>', ["a@example.test", "boss@example.org"]),
        (
            " =?utf-8*en?q?=3Cboss=40example=2Eorg=3E?= <a@example.test>",
            ["a@example.test", "boss@example.org"],
        ),
        (" =?x-new?q?=3Cboss=40example=2Eorg=3E?= <a@example.test>", ["a@example.test", "boss@example.org"]),
        (" =?idna?q?=3Cboss=40example=2Eorg=3E?= <a@example.test>", ["a@example.test", "boss@example.org"]),
        (" =?x?b?PGJvc3NAZXhhbXBsZS5vcmc+!?= <a@example.test>", ["a@example.test", "boss@example.org"]),
        (" =?x?b?PGJvc3NAZXhhbXBsZS5vcmc+P?= <a@example.test>", ["a@example.test", "boss@example.org"]),
        (
            " =?utf-7?q?+ADw-boss+AEA-example.org+AD4-?= <a@example.test>",
            ["a@example.test", "boss@example.org"],
        ),
        (
            " =?x?q?=3Cboss=40?=\n =?x?q?example=2Eorg=3E?= <a@example.test>",
            ["a@example.test", "boss@example.org"],
        ),
        (' "=?x?q? <boss@example.org> ?=" <a@example.test>', ["a@example.test", "boss@example.org"]),
        (" (Boss <boss@example.org>) a@example.test", ["a@example.test", "boss@example.org"]),
        (" A <a@example.test> (=?x?q?=3Cboss=40example=2Eorg=3E?=)", ["a@example.test", "boss@example.org"]),
        (" a@example.test (a <a@example.test>)", ["a@example.test"]),
        (" [Shop] Orders <a@example.test>", ["a@example.test"]),
        (" Shop] Orders [new <a@example.test>", ["a@example.test"]),
        (" Alice, Inc. <a@example.test>", ["a@example.test"]),
        (" Alice, Bob, Inc. <a@example.test>, b@example.org", ["a@example.test", "b@example.org"]),
        (" a@example.test, , b@example.org,", ["a@example.test", "b@example.org"]),
        (" Team: Alice, Inc. <a@example.test>;", ["a@example.test"]),
        (" Orders @ Shop <a@example.test>", ["a@example.test"]),
        (" @shop <a@example.test>", ["a@example.test"]),
        (" a@example.test <a@example.test>", ["a@example.test"]),
        (" boss@example.org <a@example.test>", ["a@example.test", "boss@example.org"]),
        (" the boss @ example . org <a@example.test>", ["a@example.test", "boss@example.org"]),
        (" boss@[192.0.2.1] <a@example.test>", ["a@example.test", "boss@[192.0.2.1]"]),
        (' "boss"@example.org <a@example.test>', ["a@example.test", "boss@example.org"]),
    ],
)
def test_every_address_of_a_from_field_is_found(value: str | bytes, expected: list[str]) -> None:
    assert addresses(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        " boss@@example.org <a@example.test>",
        " Alice, a@example.test",
        " a@example.test, Inc.",
        " Alice, Inc.",
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
def test_what_is_no_clear_address_yields_a_token_that_matches_no_rule(value: str | bytes) -> None:
    assert UNREADABLE in addresses(value)
    assert "@" not in UNREADABLE


def test_sender_fields_are_read_like_from() -> None:
    headers = [
        Header(b"Sender ", b" [S] a@example.test <a@example.test>"),
        Header(b"From", b" b@example.org"),
    ]
    assert sender_addresses(headers) == ["a@example.test"]
    assert sender_addresses([]) == []


def test_more_fields_or_addresses_than_anybody_writes_are_not_read() -> None:
    assert addresses(*[" a@example.test"] * 10_000)[100:] == [UNREADABLE]
    assert addresses(",".join([" a@example.test"] * 200))[100:] == [UNREADABLE]
    assert addresses(*[f' "{"a" * 4000}" <a@example.test>'] * 5)[4:] == [UNREADABLE] * 2


# Each of these was, or might be, read in quadratic time.
WORST = {
    "at signs in angle brackets": ' "<{}" <a@b.test>|@',
    "angle brackets": ' "{}" <a@b.test>|<@',
    "closed brackets": ' "{}" <a@b.test>|<a@b.test>',
    "words that never end": " {} <a@b.test>|=?x?q?",
    "words without an encoding": " {} <a@b.test>|=?x?",
    "beginnings of words": " {} <a@b.test>|=?",
    "words": " {} <a@b.test>|=?x?q?=3C?= ",
    "base64 words": " {} <a@b.test>|=?x?b?PA==PA==?=",
    "one word of UTF-7": " =?utf-7?q?{}?= <a@b.test>|+",
    "shifted UTF-7": " =?utf-7?q?{}?= <a@b.test>|+AA-",
    "nested comments": " {} a@b.test|(",
    "comments": " {} a@b.test|(<a@b>)",
    "comments in comments": " ({}) a@b.test|(())",
    "backslashes": ' "{}" <a@b.test>|\\',
    "quotes": ' {} <a@b.test>|""',
    "a quote that never ends": ' "{}|a\\"',
    "commas": " {} <a@b.test>|a,",
    "empty members": " {} a@b.test|,",
    "bare addresses": " {} <a@b.test>|a@b.c ",
    "a dotted name": " {}@b.test|a.",
    "at signs": " {}<a@b.test>|@",
    "at signs and dots": " {}<a@b.test>|.@.",
    "brackets": " {}<a@b.test>|[",
    "literals": " {}<a@b.test>|[]",
    "groups": " {}|a:b@c.d;",
    "colons": " {}|:",
    "marks that combine": ' "<{}@b.test>" <a@b.test>|\u0300\u0327',
    "ligatures": ' "{}@" <a@b.test>|\ufdfa',
    "dashes": " {}|-",
    "spaces": " a{}<a@b.test|\u0020",
    "folds": " a{}b@b.test|\n\u0020",
    "returns": " a{}b@b.test|\r\n\u0020",
}


@pytest.mark.parametrize("name", WORST)
def test_from_is_read_in_linear_time(world: World, name: str) -> None:
    module, header = (
        world.load("gatepost_milter.parts.addresses"),
        world.load("gatepost_milter.editing.message").Header,
    )
    frame, _, unit = WORST[name].rpartition("|")
    assert_linear(
        world,
        lambda size: [header(b"From", frame.format(unit * (size // len(unit) + 1)).encode())],
        module.from_addresses,
        size=200,
    )


def test_many_from_fields_are_read_in_linear_time(world: World) -> None:
    module, header = (
        world.load("gatepost_milter.parts.addresses"),
        world.load("gatepost_milter.editing.message").Header,
    )
    assert_linear(world, lambda size: [header(b"From", b" (x) a")] * size, module.from_addresses)


def test_several_from_fields_all_count() -> None:
    assert addresses(" a@example.test", " b@example.org") == ["a@example.test", "b@example.org"]


@given(st.text(alphabet='ab@.<>,;:"\\() =?\n[]', max_size=60))
def test_any_text_is_read_without_an_error_and_an_at_sign_never_vanishes(value: str) -> None:
    found = addresses(" " + value)
    outside = value
    if "@" in outside and not any(sign in outside for sign in '("'):
        assert found, "an address-like text leaves a trace"


@given(st.from_regex(addresses_module._SIMPLE, fullmatch=True))
def test_the_short_way_for_plain_fields_says_what_the_parser_says(value: bytes) -> None:
    assert addresses(value) == addresses_module._parsed(value) != [UNREADABLE]
