"""References of refusals, how many are recorded, and what is told of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain import Defer, Reject, spooled
from gatepost_core.domain.decision.refusals import Bound, found, reference, referred
from gatepost_core.domain.decision.refusals.advice import advice
from tests.refs import bare
from tests.refs import reference as heard
from tests.steps import World, assert_linear
from tests.test_docs_replies import said

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
NOON = NOW.timestamp()
REFUSED = Reject(550, "5.7.1", "Credential gp1 is disabled; ask your mail administrator", "disabled")


def test_a_reference_is_the_same_for_the_same_and_another_for_each_difference() -> None:
    first = reference("node", "1.2.3", "RCPT", "bob@example.org")
    assert first == reference("node", "1.2.3", "RCPT", "bob@example.org")
    others = {
        reference("other", "1.2.3", "RCPT", "bob@example.org"),
        reference("node", "1.2.4", "RCPT", "bob@example.org"),
        reference("node", "1.2.3", "DATA", "bob@example.org"),
        reference("node", "1.2.3", "RCPT", "bob@example.or", "g"),
        first,
    }
    assert len(others) == 5


@given(st.text(max_size=900), st.integers(60, 600))
def test_the_reference_stays_whatever_the_text_and_however_little_room(text: str, most: int) -> None:
    for refused in (Reject(550, "5.7.1", text, "why"), Defer(451, "4.7.1", text, "why")):
        told = referred(refused, reference(text), most)
        assert type(told) is type(refused)
        assert heard(str(told)) == told.reference == reference(text)
        assert len(told.text) <= min(most, 400)
        assert (told.code, told.enhanced, told.reason) == (refused.code, refused.enhanced, "why")
        assert bare(told.text)


def test_a_text_that_fits_is_left_as_it_is() -> None:
    assert bare(str(referred(REFUSED, reference("x")))) == str(REFUSED)


@pytest.mark.parametrize(
    ("typed", "is_"),
    [
        ("K7Q2M9XD", "K7Q2M9XD"),
        (" k7q2m9xd\n", "K7Q2M9XD"),
        ("ref K7Q2M9XD", "K7Q2M9XD"),
        ("(ref K7Q2M9XD)", "K7Q2M9XD"),
        ("550 5.7.1 <bob@example.org>: Recipient address rejected: no (ref K7Q2M9XD)", "K7Q2M9XD"),
        ("K7Q2M9XO", ""),
        ("K7Q2M9X", ""),
        ("K7Q2M9XDD", ""),
        ("", ""),
        ("nothing of the kind", ""),
    ],
)
def test_a_reference_is_understood_as_it_is_typed_or_copied(typed: str, is_: str) -> None:
    assert found(typed) == is_


def test_of_ten_thousand_refusals_of_one_credential_a_hundred_have_a_place_and_another_has_its_own() -> None:
    bound = Bound(100)
    places = [bound.place(1, str(number), NOON) for number in range(10_000)]
    assert sum(place <= 100 for place in places) == 100
    assert places[99] == 100
    assert bound.place(2, "x", NOON) == 1
    assert bound.place(1, "later", NOON + 3_600) == 1


def test_a_refusal_that_is_told_again_takes_no_place() -> None:
    bound = Bound(2)
    assert [bound.place(1, "a", NOON) for _ in range(5)] == [1, 0, 0, 0, 0]
    assert [bound.place(1, one, NOON) for one in ("b", "c", "c")] == [2, 3, 4]


def test_none_is_recorded_where_none_is_to_be() -> None:
    assert Bound(0).place(1, "a", NOON) > 0


def test_what_is_written_of_a_refusal_is_read_again_and_bounded() -> None:
    content = spooled.refused("K7Q2M9XD", (3, 7), "b" * 2_000, NOW, {"reply": "x" * 5_000, "recipients": 2})
    told = spooled.read_refused(content)
    assert (told.reference, told.account_id, told.credential_id) == ("K7Q2M9XD", 3, 7)
    assert len(told.recipient) <= 256
    assert len(told.detail) < 1_000


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b'["K7Q2M9XO",1,1,"","2026-11-28 12:00:00.000000",{}]',
        b'["",1,1,"","2026-11-28 12:00:00.000000",{}]',
        b'["K7Q2M9XD",-1,1,"","2026-11-28 12:00:00.000000",{}]',
        b'["K7Q2M9XD",1,1,"","now",{}]',
        b'["K7Q2M9XD",1,1,7,"2026-11-28 12:00:00.000000",{}]',
        b'["K7Q2M9XD",1,1,"","2026-11-28 12:00:00.000000",{"x":"' + b"x" * 9_000 + b'"}]',
    ],
)
def test_what_no_release_writes_is_not_taken_for_a_refusal(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        spooled.read_refused(content)


@pytest.mark.parametrize("text", [one for one in said() if not one.startswith(("535", "530"))])
def test_each_reply_of_ours_has_a_row_that_says_what_to_do(text: str) -> None:
    told = advice(text, "gp1")
    assert told is not None
    assert told.when
    assert "`" not in told.when + told.remedy
    assert "USER" not in told.remedy


def test_the_row_that_says_most_is_taken() -> None:
    told = advice("550 5.7.1 Credential gp1 is disabled; ask your mail administrator", "gp1")
    assert told == ("disabled since the login", "'gatepost credential enable gp1'")
    assert advice("550 5.9.9 Nothing of ours", "gp1") is None


def test_a_row_is_looked_for_in_linear_time_whatever_somebody_made_of_his_addresses() -> None:
    world = World()
    look = world.load("gatepost_core.domain.decision.refusals.advice").advice
    text = "550 5.7.1 Credential X is limited to X and has used X, and this message has X "
    look(text, "x")
    assert_linear(world, lambda n: (text * 9)[:n], lambda reply: look(reply, "gp1"), size=120)


def test_a_claimed_reference_is_read_in_linear_time() -> None:
    world = World()
    read = world.load("gatepost_core.domain.spooled").read_refused
    rest = ',1,1,"","2026-11-28 12:00:00.000000",{}]'

    def claim(text: str) -> None:
        with pytest.raises(ValueError, match="no reference"):
            read(f'["{text}"{rest}'.encode())

    assert_linear(world, lambda n: "REF K7Q2M9XD" * n, claim)
