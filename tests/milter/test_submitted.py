"""What a message with an idempotency key is known by: its content, its key, and at which cost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from gatepost_core.domain import CATALOGUE, Defer, Mode, Reject, ids
from gatepost_core.domain.limits import with_recipients
from gatepost_core.domain.limits.submissions import Claimed, ClaimState, Outcome, Submission
from gatepost_core.store import StoreUnavailable
from gatepost_milter.editing.headers import Header
from gatepost_milter.editing.message import Message
from gatepost_milter.judge import Accepted
from gatepost_milter.libmilter.submissions import Submissions
from gatepost_milter.submitted import Repeated, content
from gatepost_milter.transaction import Transaction
from tests.core.stores import Store
from tests.milter.test_judge import judge, readers, store
from tests.steps import World, assert_linear

__all__ = ["readers", "store"]
KEY = "X-Gatepost-Idempotency-Key"
FIELDS = (("From", b" ann@example.test"), ("Subject", b" Order 1"), ("Date", b" today"))


def sent(
    *fields: tuple[str, bytes], body: bytes = b"Hello.\r\n", recipients: Sequence[str] = ()
) -> Transaction:
    begun = Transaction("alice", b"<sender@bob.test>")
    for address in recipients or ["bob@example.org"]:
        begun.add_recipient(f"<{address}>".encode())
    for name, value in fields:
        begun.add_header(name, value)
    begun.add_body(body)
    return begun


def accepted(store: Store, *fields: tuple[str, bytes], body: bytes = b"Hello.\r\n") -> Accepted:
    verdict = judge(store).decide(sent(*fields, body=body), "4Q1")
    assert isinstance(verdict, Accepted), verdict
    return verdict


def known_by(store: Store, *fields: tuple[str, bytes], body: bytes = b"Hello.\r\n") -> Submission:
    found = accepted(store, *fields, body=body).submission
    assert found is not None
    return found


def test_a_message_with_a_key_is_known_by_it_and_the_field_goes(store: Store) -> None:
    verdict = accepted(store, *FIELDS, (KEY, b" order-1"))
    assert verdict.submission is not None
    assert verdict.submission.shown == "order-1"
    assert verdict.record.applied == ("idempotency",)
    assert [call.name for call in verdict.header_calls] == [KEY.encode()]
    assert accepted(store, *FIELDS).submission is None


@pytest.mark.parametrize(
    "again",
    [
        (*FIELDS[:2], ("Date", b" tomorrow"), (KEY, b" order-1")),
        (("Received", b" by a smart host"), *FIELDS, (KEY, b" order-1")),
        (("Return-Path", b" <x@y.test>"), *FIELDS, ("MESSAGE-ID", b" <2@example.test>"), (KEY, b" order-1")),
        (("DKIM-Signature", b" v=1; t=2"), *FIELDS, ("x-smtpeter-idempotency-key", b"\n\torder-1 ")),
    ],
)
def test_what_a_retry_makes_anew_is_no_content(store: Store, again: tuple[tuple[str, bytes], ...]) -> None:
    assert known_by(store, *again) == known_by(store, *FIELDS, (KEY, b" order-1"))


@pytest.mark.parametrize(
    "fields",
    [
        (*FIELDS[:1], ("Subject", b" Order 2"), FIELDS[2]),
        (FIELDS[1], FIELDS[0], FIELDS[2]),
        (*FIELDS, ("X-Other", b" 1")),
        (*FIELDS, ("X-Gatepost-Tags", b" a")),
        FIELDS[:1],
    ],
)
def test_all_else_is_content(store: Store, fields: tuple[tuple[str, bytes], ...]) -> None:
    first = known_by(store, *FIELDS, (KEY, b" order-1"))
    other = known_by(store, *fields, (KEY, b" order-1"))
    assert (other.key, other.recipients) == (first.key, first.recipients)
    assert other.content != first.content


@pytest.mark.parametrize("body", [b"Hello!\r\n", b"Hello.", b"Hello.\r\n\r\n", b""])
def test_each_byte_of_the_body_is_content(store: Store, body: bytes) -> None:
    first = known_by(store, *FIELDS, (KEY, b" order-1"))
    assert known_by(store, *FIELDS, (KEY, b" order-1"), body=body).content != first.content


def test_no_two_lists_of_fields_look_alike() -> None:
    messages = [
        Message((Header(b"A", b"b:c"),), b""),
        Message((Header(b"A:b", b"c"),), b""),
        Message((Header(b"A", b"b"), Header(b"c", b"")), b""),
        Message((), b"A:b:c"),
        Message((Header(b"A", b"b"),), b"c"),
    ]
    assert len({content(one) for one in messages}) == len(messages)


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        (b"", "is empty"),
        (b"   ", "is empty"),
        (b" two words", "holds a character that is none of those"),
        (b" gr\xc3\xbc\xc3\x9fe", "holds a character that is none of those"),
        (b" a\x07b", "holds a character that is none of those"),
        (b" " + b"k" * 256, "has 256 characters"),
        (b" " + b"k" * 60_000, "has 60,000 characters"),
        (b" \xff", "cannot be decoded"),
    ],
)
def test_a_key_that_cannot_be_one_refuses_the_message_and_says_what_may_stand_there(
    store: Store, value: bytes, wrong: str
) -> None:
    verdict = judge(store).decide(sent(*FIELDS, (KEY, value)), "4Q1")
    assert isinstance(verdict, Reject)
    assert (verdict.code, verdict.enhanced) == (550, "5.6.0")
    assert verdict.text.startswith(f"{KEY}: ")
    assert wrong in verdict.text
    assert len(verdict.text) < 300


def test_two_keys_contradict_each_other(store: Store) -> None:
    verdict = judge(store).decide(sent(*FIELDS, (KEY, b" a"), (KEY, b" b")), "4Q1")
    assert isinstance(verdict, Reject)
    assert "contradicts another header" in verdict.text


def test_the_longest_key_and_odd_ones_are_taken(store: Store) -> None:
    keys = {
        known_by(store, *FIELDS, (KEY, b" " + one)).key for one in (b"k" * 255, b"K", b"k", b"=", b"%s;--")
    }
    assert len(keys) == 5


def test_reading_a_key_and_hashing_a_message_is_linear(world: World) -> None:
    fields = world.load("gatepost_milter.editing.headers")
    message = world.load("gatepost_milter.editing.message").Message
    hashed = world.load("gatepost_milter.submitted").content
    parse = world.load("gatepost_core.domain.features").CATALOGUE["idempotency"].parse
    make = world.load("gatepost_core.domain.limits.submissions")._recipient
    errors = world.load("gatepost_core.domain.features").FeatureError

    def read(text: str) -> None:
        with pytest.raises(errors):
            parse(text)

    def spell(address: str) -> object:
        return make(b"k" * 16, address)

    assert_linear(world, lambda n: "k" * 4 * n + " x", read)
    assert_linear(world, lambda n: message(tuple([fields.Header(b"A", b"b")] * n), b"x" * n), hashed)
    assert_linear(world, lambda n: "r" * n + "@" + "x." * n, spell)


class Claims:
    """Answers as it is told, and notes what it was asked."""

    def __init__(self, found: Claimed | StoreUnavailable, *, kept: bool = True) -> None:
        self.found, self.kept = found, kept
        self.asked: list[str] = []

    def claim(self, wanted: Submission, message_id: str, queue_id: str, now: int, most: int) -> Claimed:
        assert (queue_id, most) == ("4Q1", 10)
        assert abs(now - time.time()) < 60
        assert message_id
        assert wanted
        self.asked.append("claim")
        if isinstance(self.found, StoreUnavailable):
            raise self.found
        return self.found

    def accept(self, message_id: str, recipients: int, state: ClaimState) -> bool:
        assert message_id
        self.asked.append(f"accept {recipients} {state.name}")
        return self.kept

    def give_back(self, message_id: str) -> bool:
        assert message_id
        self.asked.append("give back")
        raise StoreUnavailable("gone")

    def accepted(self, after: str, most: int) -> Sequence[str]:
        raise AssertionError(after, most)

    def queued(self, messages: object) -> None:
        raise AssertionError(messages)

    def sweep(self, oldest: str) -> int:
        raise AssertionError(oldest)

    def first_of(self, queue_id: str) -> str:
        raise AssertionError(queue_id)

    def close(self) -> None:
        """Nothing is open."""


FIRST = ids.new(1_800_000_000_000)


@pytest.mark.parametrize(
    ("outcome", "reply"),
    [
        (
            Outcome.OTHER_CONTENT,
            f"550 5.6.0 {KEY}: 'order-1' was used at 2027-01-15T08:00:00Z for a message with other content; "
            "a key stands for one content for 24 hours, so send this one with another key",
        ),
        (
            Outcome.WAITS,
            f"451 4.5.0 {KEY}: the message of 'order-1' came already, and it is not known yet whether it is "
            "in the queue; try again in a minute",
        ),
        (
            Outcome.FULL,
            f"451 4.7.1 Credential alice has used keys of {KEY} for 10 recipients within 24 hours, as many "
            "as it may; try again later, or send without a key",
        ),
    ],
)
def test_what_cannot_be_claimed_is_told(store: Store, outcome: Outcome, reply: str) -> None:
    verdict = accepted(store, *FIELDS, (KEY, b" order-1"))
    assert verdict.submission is not None
    claims = Claims(Claimed(outcome, FIRST))
    answered = Submissions(claims, hours=24, most=10).claim(verdict, verdict.submission)
    assert isinstance(answered, Reject | Defer)
    assert str(answered) == reply


def test_a_repeat_is_discarded_and_names_the_first(store: Store) -> None:
    verdict = accepted(store, *FIELDS, (KEY, b" order-1"))
    assert verdict.submission is not None
    claims = Claims(Claimed(Outcome.REPEATED, FIRST))
    assert Submissions(claims, hours=24, most=10).claim(verdict, verdict.submission) == Repeated(FIRST)


def test_recipients_who_have_it_are_left_out_of_message_record_and_limits(store: Store) -> None:
    transaction = sent(*FIELDS, (KEY, b" k"), recipients=["a@x.test", "b@x.test", "B@x.test", "c@x.test"])
    verdict = judge(store).decide(transaction, "4Q1")
    assert isinstance(verdict, Accepted)
    wanted = verdict.submission
    assert wanted is not None
    claims = Claims(Claimed(Outcome.NEW, FIRST, frozenset([wanted.recipients["b@x.test"]])))
    submissions = Submissions(claims, hours=24, most=10)
    left = submissions.claim(verdict, wanted)
    assert isinstance(left, Accepted)
    assert left.known == ("b@x.test", "B@x.test")
    assert left.record.recipients == ("a@x.test", "c@x.test")
    assert left.record.skipped["idempotency"] == f"2 of 4 recipients have it already, by message {FIRST}"
    assert left.charges == with_recipients(verdict.charges, 2)
    assert left.submission is not None
    assert submissions.keep(left, left.submission) is None
    assert claims.asked == ["claim", "accept 2 ACCEPTED"]


@pytest.mark.parametrize(
    ("mode", "state"), [(Mode.SANDBOX, "QUEUED"), (Mode.LIVE, "ACCEPTED"), (Mode.HOLD, "ACCEPTED")]
)
def test_in_a_sandbox_it_ends_with_the_record(store: Store, mode: Mode, state: str) -> None:
    verdict = accepted(store, *FIELDS, (KEY, b" k"))
    wanted = verdict.submission
    assert wanted is not None
    verdict = replace(verdict, record=replace(verdict.record, mode=mode))
    claims = Claims(Claimed(Outcome.NEW))
    assert Submissions(claims, hours=24, most=10).keep(verdict, wanted) is None
    assert claims.asked == [f"accept 1 {state}"]


def test_a_message_whose_place_was_taken_is_deferred_and_what_cannot_be_undone_is_only_logged(
    store: Store,
) -> None:
    verdict = accepted(store, *FIELDS, (KEY, b" k"))
    assert verdict.submission is not None
    submissions = Submissions(Claims(Claimed(Outcome.NEW), kept=False), hours=24, most=10)
    assert isinstance(submissions.keep(verdict, verdict.submission), Defer)
    submissions.give_back(verdict)


def test_the_catalogue_says_what_may_stand_there() -> None:
    assert CATALOGUE["idempotency"].expected == "1 to 255 characters of printable ASCII, without spaces"
