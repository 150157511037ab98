"""Header fields as a value: the calls made of it lead Postfix to just that list, and touch no other field."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from gatepost_milter.editing.headers import (
    AddHeader,
    ChangeHeader,
    Header,
    Headers,
    InsertHeader,
    calls,
    wire_size,
)

from .cleanup import RECEIVED, Cleanup

# Few names and values, so that fields are alike more often than not.
NAMES = st.sampled_from([b"Received", b"X-Mailer", b"x-mailer", b"X-MAILER", b"Subject", b"DKIM-Signature"])
VALUES = st.sampled_from([b" a", b" b", b"", b" a\n\tfolded", b" \xff"])
FIELDS = st.builds(Header, NAMES, VALUES)
SOME = st.lists(FIELDS, max_size=4).map(tuple)
CHANGES = st.sampled_from([b" new", b" new\n folded", b" a"])


@st.composite
def edited(draw: st.DrawFn) -> Headers:
    """Any list of fields that features may make of any other."""
    came = draw(st.lists(FIELDS, max_size=12).map(tuple))
    kept = [
        draw(st.just(header) | st.none() | st.builds(Header, st.just(header.name), CHANGES))
        for header in came
    ]
    return Headers(came, tuple(kept), draw(SOME), draw(SOME))


TWO = (Header(b"X-Mailer", b" a"), Header(b"x-mailer", b" a"), Header(b"X-MAILER", b" a"))


@given(edited())
@example(Headers(TWO, (None, TWO[1], None)))
@example(Headers(TWO, (None, Header(b"x-mailer", b" new"), TWO[2]), top=(RECEIVED,)))
def test_the_calls_make_of_the_old_list_the_new_one_in_postfix(headers: Headers) -> None:
    after = Cleanup(headers.came).carry_out(calls(headers))
    assert after == (*headers.top, RECEIVED, *list(headers)[len(headers.top) :])


@given(edited())
def test_no_field_that_stays_as_it_is_is_touched_and_none_twice(headers: Headers) -> None:
    made = calls(headers)
    differ = sum(old != new for old, new in zip(headers.came, headers.kept, strict=True))
    assert len(made) == differ + len(headers.top) + len(headers.end)
    changed = [(call.name.lower(), call.index) for call in made if isinstance(call, ChangeHeader)]
    assert len(set(changed)) == len(changed) == differ


@given(edited())
def test_changes_come_before_additions_and_what_goes_on_top_is_last(headers: Headers) -> None:
    order = [(ChangeHeader, AddHeader, InsertHeader).index(type(call)) for call in calls(headers)]
    assert all(one <= next_one for one, next_one in pairwise(order))


def test_a_list_that_nobody_edited_asks_for_nothing() -> None:
    came = (Header(b"Subject", b" x"), Header(b"X-\xff", b" \xff"), Header(b"Subject", b""))
    same = (
        Headers.of(came)
        .edited(lambda header: bytes(header.value))
        .without(lambda header: header.name == b"To")
    )
    assert (tuple(same), calls(same), calls(None), same.touched()) == (came, (), (), set())


def test_operations_keep_each_field_s_identity() -> None:
    came = (Header(b"A", b" 1"), Header(b"a", b" 2"), Header(b"B", b" 3"), Header(b"A", b" 4"))
    headers = Headers.of(came).without(lambda header: header.value == b" 2")
    headers = headers.edited(lambda header: b" four" if header.value == b" 4" else header.value)
    headers = headers.added(Header(b"C", b" 5"), Header(b"D", b" 6")).on_top(Header(b"S", b" rsa"))
    headers = headers.on_top(Header(b"S", b" first")).with_value(b"d", b" six").with_value(b"E", b" 7")
    assert tuple(headers) == (
        *(Header(b"S", b" first"), Header(b"S", b" rsa"), Header(b"A", b" 1"), Header(b"B", b" 3")),
        *(Header(b"A", b" four"), Header(b"C", b" 5"), Header(b"D", b" six"), Header(b"E", b" 7")),
    )
    assert calls(headers) == (
        *(ChangeHeader(b"A", 3, b" four"), ChangeHeader(b"a", 2, None)),
        *(AddHeader(b"C", b" 5"), AddHeader(b"D", b" six"), AddHeader(b"E", b" 7")),
        *(InsertHeader(b"S", b" rsa"), InsertHeader(b"S", b" first")),
    )
    assert headers.touched() == {b"a", b"c", b"d", b"e", b"s"}


def test_what_was_added_can_be_taken_away_again() -> None:
    headers = Headers.of((Header(b"A", b" 1"),)).added(Header(b"B", b" 2")).on_top(Header(b"B", b" 3"))
    left = headers.without(lambda header: header.name == b"B")
    assert (tuple(left), calls(left)) == ((Header(b"A", b" 1"),), ())


@given(SOME)
def test_the_size_on_the_wire_is_that_of_the_bytes_sent(headers: tuple[Header, ...]) -> None:
    sent = b"".join(header.name + b":" + header.value.replace(b"\n", b"\r\n") + b"\r\n" for header in headers)
    assert wire_size(headers) == len(sent)
