"""Header overrides: understood, stripped, or refused by name."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain import Options, Reject, in_force
from gatepost_milter.editing.headers import Header, calls
from gatepost_milter.editing.message import Message, Plan, outcome
from gatepost_milter.pipeline import process
from gatepost_milter.surgery.context import Context

from .making import message


def run(*lines: str, **features: bool) -> Plan | Reject:
    text = "\n".join(("From: a@example.test", *lines, "Subject: x")) + "\n\nhello\n"
    return process(message(text), Context(in_force(features)))


def planned(*lines: str, **features: bool) -> Plan:
    plan = run(*lines, **features)
    assert isinstance(plan, Plan), plan
    return plan


@pytest.mark.parametrize(
    "name", ["X-Gatepost-TrackClicks", "x-smtpeter-trackclicks", "X-GATEPOST-TRACKCLICKS"]
)
@pytest.mark.parametrize(("word", "value"), [("on", True), ("YES", True), ("0", False), (" false ", False)])
def test_an_override_counts_over_the_credential_in_either_spelling(name: str, word: str, value: bool) -> None:
    assert planned(f"{name}: {word}", trackclicks=not value).features["trackclicks"] is value


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            "X-Gatepost-TrackClicks: maybe",
            "X-Gatepost-TrackClicks: 'maybe' is not understood; expected on or off",
        ),
        ("X-SMTPeter-InlineCSS:", "X-SMTPeter-InlineCSS: '' is not understood"),
        ("X-Gatepost-Unknown: on", "X-Gatepost-Unknown: 'on' is not understood; no such header"),
        (
            "X-Gatepost-Tags: news,txt.\u202egpj",
            "X-Gatepost-Tags: 'txt.\\u202egpj' holds U+202E (right-to-left override); expected labels",
        ),
        ("X-Gatepost-Tags: =?utf-8?q?a=C2=9Bb?=", "X-Gatepost-Tags: 'a\\x9bb' holds U+009B (a control"),
        ("X-Gatepost-PreventScam: \u2713", "X-Gatepost-PreventScam: '?' is not understood"),
    ],
)
def test_what_is_not_understood_refuses_the_message_naming_header_and_value(line: str, text: str) -> None:
    answer = run(line)
    assert isinstance(answer, Reject)
    assert (answer.code, answer.enhanced) == (550, "5.6.0")
    assert answer.text.startswith(text)


@pytest.mark.parametrize(
    "name",
    [
        "X-Gatepost_TrackClicks",
        "X_Gatepost_TrackClicks",
        "x_smtpeter-trackclicks",
        "X-GatepostTags",
        "X-Gatepost",
        "X-SMTPETERTRACKCLICKS",
        "X-Gatepost-",
    ],
)
def test_a_misspelt_override_is_refused_by_name_and_stripped_where_overrides_are_ignored(name: str) -> None:
    answer = run(f"{name}: off")
    assert isinstance(answer, Reject)
    assert str(answer).startswith(
        f"550 5.6.0 {name}: 'off' is not understood; no such header, known are X-Gatepost-"
    )
    headers = (Header(name.encode(), b" off"), Header(b"X-Other", b" off"))
    plan = process(Message(headers, b""), Context(in_force(), options=Options(overrides="ignored")))
    assert isinstance(plan, Plan)
    assert outcome(Message(headers, b""), plan).headers == headers[1:]


@pytest.mark.parametrize("name", ["X-Gate", "X-Gatepos_t", "Gatepost-Tags", "X--Gatepost-Tags"])
def test_another_field_is_left_alone(name: str) -> None:
    assert planned(f"{name}: off").headers is None


def test_two_overrides_that_contradict_each_other_refuse_the_message() -> None:
    answer = run("X-Gatepost-TrackClicks: on", "X-SMTPeter-TrackClicks: off")
    assert isinstance(answer, Reject)
    assert "contradicts" in answer.text


def test_the_same_override_twice_is_no_contradiction() -> None:
    assert (
        planned("X-Gatepost-TrackClicks: on", "X-SMTPeter-TrackClicks: yes").features["trackclicks"] is True
    )


def test_tags_replace_the_credentials_tags_and_may_be_encoded_words() -> None:
    plan = planned("X-Gatepost-Tags: one, =?utf-8?q?z=C3=A9?=")
    assert plan.tags == ("one", "zé")


@pytest.mark.parametrize(
    "lines",
    [
        ('X-Gatepost-Metadata: {"order": "1234"}',),
        ('x-smtpeter-metadata:{"order":\n "1234"}', 'X-Gatepost-Metadata: { "order": "1234" }'),
        ("X-Gatepost-Metadata: =?utf-8?q?=7B=22order=22:_=221234=22=7D?=",),
    ],
)
def test_metadata_is_read_in_any_spelling_of_the_same_object_and_removed(lines: tuple[str, ...]) -> None:
    plan = planned(*lines)
    assert plan.metadata == '{"order":"1234"}'
    assert plan.applied == ("metadata",)
    msg = message("\n".join(("From: a@example.test", *lines, "Subject: x")) + "\n\nhello\n")
    assert [header.name for header in outcome(msg, plan).headers] == [b"From", b"Subject"]


@pytest.mark.parametrize(
    ("value", "date"),
    [
        ("2027-01-31T18:00:00Z", "Sun, 31 Jan 2027 18:00:00 +0000"),
        ("2027-01-31t19:30:59.999999999+01:30", "Sun, 31 Jan 2027 18:00:59 +0000"),
        (" 2027-01-31 18:00:00z ", "Sun, 31 Jan 2027 18:00:00 +0000"),
        ("2027-01-01T00:00:00-23:59", "Fri, 01 Jan 2027 23:59:00 +0000"),
    ],
)
def test_the_time_to_send_at_becomes_the_date_and_its_field_goes(value: str, date: str) -> None:
    lines = ("Date: Fri, 1 Jan 2021 00:00:00 +0000", f"X-Gatepost-Send-At: {value}")
    plan = planned(*lines)
    msg = message("\n".join(("From: a@example.test", *lines, "Subject: x")) + "\n\nhello\n")
    assert plan.applied == ("sendat",)
    fields = outcome(msg, plan).headers
    assert [(one.name, one.value.decode().strip()) for one in fields[1:2]] == [(b"Date", date)]


def test_the_date_of_a_message_that_its_author_signed_stays() -> None:
    plan = planned("X-Gatepost-Send-At: 2027-01-31T18:00:00Z", "DKIM-Signature: v=1; h=from:date")
    assert plan.applied == ("sendat",)
    assert plan.send_at == datetime(2027, 1, 31, 18, tzinfo=UTC)
    assert plan.headers is not None
    assert b"date" not in plan.headers.names()


@pytest.mark.parametrize(
    "value",
    [
        "", "tomorrow", "2027-01-31", "2027-01-31T18:00:00", "2027-01-31T18:00Z", "18:00:00Z", "1801418400",
        "2027-13-31T18:00:00Z", "2027-02-29T18:00:00Z", "2027-01-31T24:00:01Z", "2027-01-31T18:00:60Z",
        "2027-01-31T18:00:00+1:00", "2027-01-31T18:00:00+25:00", "2027-01-31T18:00:00 Z",
        "+2027-01-31T18:00:00Z", "\u0662027-01-31T18:00:00Z", "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "2027-01-31T18:00:00Z, 2027-02-01T18:00:00Z", "2027-W05-7T18:00:00Z", "2027-01-31T18:00:00.Z",
    ],
)  # fmt: skip
def test_what_is_no_time_refuses_the_message_and_shows_one(value: str) -> None:
    answer = run(f"X-Gatepost-Send-At: {value}")
    assert isinstance(answer, Reject)
    assert (answer.code, answer.enhanced) == (550, "5.6.0")
    assert answer.text.startswith("X-Gatepost-Send-At: '")
    assert "; expected a time of RFC 3339 with its zone, such as 2027-01-31T18:00:00Z or" in answer.text
    assert len(answer.text) < 300


def test_metadata_without_members_is_none() -> None:
    assert (planned("X-Gatepost-Metadata: {}").applied, planned("X-Gatepost-Metadata: {}").metadata) == (
        (),
        "",
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "'' is no JSON: Expecting value (character 1); expected a JSON object of at most 2,048 bytes"),
        ("1234", "'1234' is JSON, but no object; expected"),
        ('{"a": 1, "a": 2}', "has the name 'a' twice; expected"),
        ('{"a": ' + "9" * 2_000 + "}", "holds a number of 2000 digits; at most 309; expected"),
        ('{"a": "' + "x" * 3_000 + '"}', "has 3,009 bytes; expected"),
        ('{"a":' + "[" * 900, "is nested more than 16 levels deep; expected"),
        ("=?utf-8?b?eyJhIjogIn8i?=", "is no JSON: Expecting ',' delimiter (character 10); expected"),
    ],
)
def test_what_is_no_metadata_refuses_the_message_by_the_headers_name(value: str, said: str) -> None:
    answer = run(f"X-Gatepost-Metadata: {value}")
    assert isinstance(answer, Reject)
    assert (answer.code, answer.enhanced) == (550, "5.6.0")
    assert answer.text.startswith("X-Gatepost-Metadata: '")
    assert said in answer.text
    assert len(answer.text) < 300


def test_metadata_that_differ_contradict_each_other() -> None:
    answer = run('X-Gatepost-Metadata: {"a": 1}', 'X-SMTPeter-Metadata: {"a": 2}')
    assert isinstance(answer, Reject)
    assert "contradicts another header for metadata" in answer.text


def test_metadata_of_signed_mail_are_kept_too() -> None:
    plan = planned('X-Gatepost-Metadata: {"a": 1}', "DKIM-Signature: v=1; h=from")
    assert (plan.metadata, plan.applied) == ('{"a":1}', ("metadata",))


NAMES = st.sampled_from(
    [b"X-Gatepost-TrackClicks", b"x-smtpeter-trackclicks", b"Subject", b"X-GATEPOST-trackclicks", b"x-other"]
)


@given(st.lists(NAMES, max_size=12))
def test_every_override_is_stripped_and_no_other_field(names: list[bytes]) -> None:
    headers = tuple(Header(name, b" on") for name in names)
    plan = process(Message(headers, b""), Context(in_force()))
    assert isinstance(plan, Plan)
    left = outcome(Message(headers, b""), plan).headers
    assert left == tuple(
        h for h in headers if not h.name.lower().startswith((b"x-gatepost-", b"x-smtpeter-"))
    )


@given(
    st.binary(max_size=60), st.sampled_from([b"X-Gatepost-Tags", b"X-Gatepost-InlineCSS", b"X-SMTPeter-\xff"])
)
def test_any_bytes_are_a_value_or_a_refusal(value: bytes, name: bytes) -> None:
    answer = process(Message((Header(name, value),), b""), Context(in_force()))
    if isinstance(answer, Reject):
        assert answer.code == 550
        assert answer.text.isprintable()
    else:
        assert len(calls(answer.headers)) == 1
