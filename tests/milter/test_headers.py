"""What is added to and removed from header fields, and the envelope sender for bounces."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain import Options, OptionsError, Reject, in_force
from gatepost_core.domain.options import header_field, header_name
from gatepost_milter.editing.headers import Header, calls
from gatepost_milter.editing.message import Message, Plan, outcome, render, size_change
from gatepost_milter.features.privacy import PRIVATE
from gatepost_milter.pipeline import process
from gatepost_milter.surgery.context import Context

from .making import context, html_message, message

LINK = '<a href="https://x.test/p">t</a>'


def run(msg: Message, ctx: Context) -> Plan:
    plan = process(msg, ctx)
    assert isinstance(plan, Plan), plan
    return plan


def left(msg: Message, ctx: Context) -> list[tuple[bytes, bytes]]:
    plan = run(msg, ctx)
    return [(header.name, header.value) for header in outcome(msg, plan).headers]


def test_unsubscribe_adds_the_two_fields_of_rfc_8058() -> None:
    fields = left(message("From: a@b\n\nx"), context("unsubscribe"))
    assert fields[1:] == [
        (b"List-Unsubscribe", b" <https://click.example.test/u/TOKEN>"),
        (b"List-Unsubscribe-Post", b" List-Unsubscribe=One-Click"),
    ]


@pytest.mark.parametrize("name", ["List-Unsubscribe", "list-unsubscribe-post"])
def test_a_message_with_list_unsubscribe_of_its_own_keeps_it_alone(name: str) -> None:
    plan = run(message(f"From: a@b\n{name}: <mailto:x@y>\n\nx"), context("unsubscribe"))
    assert calls(plan.headers) == ()
    assert plan.skipped == {"unsubscribe": "the message has List-Unsubscribe of its own"}


def test_without_an_address_to_unsubscribe_at_the_reason_is_given() -> None:
    ctx = replace(context("unsubscribe"), unsubscribe="", missing={"unsubscribe": "several recipients"})
    assert run(message("From: a@b\n\nx"), ctx).skipped == {"unsubscribe": "several recipients"}


def test_feedback_id_names_tag_credential_account_and_sender() -> None:
    fields = left(message("From: a@b\n\nx"), context("feedbackid", tags=("autumn sale: 1", "b")))
    assert fields[1:] == [(b"Feedback-ID", b" autumn-sale-1:7:acme:acme-")]
    own = run(message("From: a@b\nFeedback-ID: x\n\nx"), context("feedbackid"))
    assert own.skipped == {"feedbackid": "the message has a Feedback-ID of its own"}


def test_cfbl_says_where_complaints_go_and_about_which_message_where_it_is_signed() -> None:
    fields = left(message("From: a@b\n\nx"), context("cfbl", "dkim"))
    assert fields[1:] == [
        (b"CFBL-Address", b" fbl@bounces.example.test; report=arf"),
        (b"CFBL-Feedback-ID", b" bounce-token"),
    ]
    assert run(message("From: a@b\n\nx"), context("cfbl")).skipped == {
        "cfbl": "RFC 9477 asks for a signature (dkim)"
    }
    own = run(message("From: a@b\nCFBL-Feedback-ID: x\n\nx"), context("cfbl", "dkim"))
    assert own.skipped == {"cfbl": "the message has CFBL-Address of its own"}


NAMES = st.sampled_from(
    [b"X-Mailer", b"x-MAILER", b"Subject", b"X-Gatepost-Privacy", b"X-Keep", b"User-Agent", b"X-Drop"]
)


@given(st.lists(NAMES, max_size=12))
def test_privacy_and_drops_remove_every_such_field_and_no_other(names: list[bytes]) -> None:
    headers = tuple(Header(name, b" %d" % place) for place, name in enumerate(names))
    ctx = replace(context("privacy"), options=Options(header_drop=("x-drop",), overrides="ignored"))
    plan = run(Message(headers, b""), ctx)
    assert outcome(Message(headers, b""), plan).headers == tuple(
        header
        for header in headers
        if header.name.lower() not in (b"x-drop", b"x-gatepost-privacy")
        and header.name.lower().decode() not in PRIVATE
    )


def test_a_credentials_own_fields_are_added_and_encoded_where_they_are_not_ascii() -> None:
    options = Options(header_add=(("X-A", "one"), ("X-B", "zé " * 40)))
    msg = message("From: a@b\n\nx")
    plan = run(msg, replace(context(), options=options))
    raw = render(msg, plan)
    assert b"X-A: one\r\n" in raw
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 78
    assert len(raw) == len(render(msg, Plan())) + size_change(msg, plan)


@pytest.mark.parametrize(
    "text",
    [
        "X-A: b\nBcc: c",
        "X-A: b\r\n",
        "X-A: \x00",
        "X A: b",
        "X-A",
        ": b",
        "X-A:",
        "From: x@y",
        "DKIM-Signature: v=1",
        "content-type: text/html",
        "Received: x",
        "Resent-To: x",
        "X-Gatepost-Tags: x",
        "X-é: b",
        "X-A: " + "b" * 801,
    ],
)
def test_a_field_that_could_break_or_forge_a_message_is_refused(text: str) -> None:
    value = text if text != "X-A: b\r\n" else "X-A: b\r\nc"
    with pytest.raises(OptionsError):
        header_field(value)


@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_field_is_accepted_stays_one_field(name: str, value: str) -> None:
    try:
        field = header_field(f"{name}:{value}")
    except OptionsError:
        return
    plan = run(message("From: a@b\n\nx"), replace(context(), options=Options(header_add=(field,))))
    lines = (calls(plan.headers)[-1].value or b"").split(b"\n")
    assert all(line[:1] == b" " and line.isascii() for line in lines)
    assert header_name(field[0]) == field[0]


def test_options_survive_the_store() -> None:
    options = Options("ignored", True, (("X-A", "b"),), ("X-B",))
    assert Options.from_json(options.to_json()) == options
    assert Options().to_json() == {}
    assert Options.from_json({}) == Options()


def test_ignored_overrides_are_removed_unread() -> None:
    msg = message("X-Gatepost-TrackClicks: off\nX-SMTPeter-Nonsense: 1\nFrom: a@b\n\nx")
    ctx = replace(context("trackclicks"), options=Options(overrides="ignored"))
    plan = run(msg, ctx)
    assert plan.features["trackclicks"] is True
    assert [header.name for header in outcome(msg, plan).headers] == [b"From"]
    assert plan.notes == ("header overrides ignored: X-Gatepost-TrackClicks, X-SMTPeter-Nonsense",)
    odd = Message((Header(b"X-Gatepost-\xff", b" 1"),), b"")
    assert isinstance(process(odd, ctx), Reject)


def test_trackbounces_changes_the_envelope_sender_and_nothing_else() -> None:
    plan = run(message("From: a@b\n\nx"), context("trackbounces"))
    assert (plan.sender, plan.body, plan.headers) == ("bounce-token@bounces.example.test", None, None)
    assert plan.applied == ("trackbounces",)
    none = replace(context("trackbounces"), bounce_sender="", missing={"trackbounces": "is empty"})
    assert run(message("From: a@b\n\nx"), none).sender is None
    assert run(message("From: a@b\n\nx"), none).skipped == {"trackbounces": "is empty"}


def test_signed_mail_is_edited_only_if_the_credential_says_so() -> None:
    msg = html_message(LINK)
    msg = Message(
        (*msg.headers, Header(b"DKIM-Signature", b" v=1"), Header(b"X-Gatepost-Tags", b" a")), msg.body
    )
    ctx = context("trackclicks", "unsubscribe", "trackbounces")
    plan = run(msg, ctx)
    assert plan.body is None
    assert [call.name for call in calls(plan.headers)] == [b"X-Gatepost-Tags"]
    assert set(plan.skipped) == {"trackclicks", "unsubscribe"}
    assert plan.sender is not None
    edited = run(msg, replace(ctx, options=Options(edit_signed=True)))
    assert edited.body is not None
    assert edited.applied == ("trackclicks", "unsubscribe", "trackbounces", "tags", "edit_signed")


def test_an_override_turns_a_feature_on_for_one_message() -> None:
    plan = run(
        message("X-Gatepost-Unsubscribe: on\nFrom: a@b\n\nx"), Context(in_force(), unsubscribe="https://u/")
    )
    assert plan.applied == ("unsubscribe",)
