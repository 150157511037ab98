"""What came back is understood: reports, complaints, answers, and nothing of what was made up."""

from __future__ import annotations

import base64

import pytest

from gatepost_bounces.reading import Reading, read
from gatepost_core.keys.tokens import Origin

from .forms import HOST, MTA, complaint, failed, plain, report

MESSAGE = "2al42atzmgequycj6vqhe"
ORIGIN = Origin(HOST, 7, MESSAGE)
VERP = "bounce-" + "a" * 40 + f"@{HOST}"


def verify(address: str) -> Origin | None:
    return ORIGIN if address.lower() == VERP else None


def reading(raw: bytes, sent_to: Origin | None = ORIGIN, sender: str = "") -> Reading:
    return read(raw, sent_to, sender, verify)


def told(raw: bytes, sender: str = "") -> list[tuple[str, str]]:
    return [(one.type, one.recipient) for one in reading(raw, sender=sender).told]


def test_a_failure_is_a_bounce_of_its_recipient_with_its_class_and_the_hosts_words() -> None:
    (one,) = reading(report(MTA, failed("bob@example.org"))).told
    assert (one.type, one.recipient) == ("bounced", "bob@example.org")
    assert one.detail == {
        "source": "dsn",
        "status": "5.1.1",
        "reply": "550 5.1.1 User unknown",
        "reporter": "mx.example.org",
        "class": "mailbox",
        "permanent": True,
    }


def test_each_recipient_of_a_report_is_told_by_itself_and_by_what_became_of_it() -> None:
    delayed = "Final-Recipient: rfc822; c@example.org\nAction: delayed\nStatus: 4.4.1"
    delivered = "Final-Recipient: rfc822; d@example.org\nAction: delivered\nStatus: 2.0.0"
    relayed = "Final-Recipient: rfc822; e@example.org\nAction: relayed\nStatus: 2.0.0"
    assert told(report(MTA, failed("b@example.org"), delayed, delivered, relayed)) == [
        ("bounced", "b@example.org"),
        ("deferred", "c@example.org"),
        ("delivered", "d@example.org"),
    ]


def test_the_recipient_that_the_sender_wrote_goes_before_the_one_at_the_end() -> None:
    fields = f"Original-Recipient: rfc822;bob@example.org\n{failed('robert@inner.example.org')}"
    (one,) = reading(report(MTA, fields)).told
    assert (one.recipient, one.detail["final_recipient"]) == ("bob@example.org", "robert@inner.example.org")


def test_an_internationalised_report_is_read_whatever_it_is_encoded_in() -> None:
    fields = f"{MTA}\n\nFinal-Recipient: utf-8; b\\x{{FC}}rgel@example.org\nAction: failed\nStatus: 5.1.1\n"
    coded = base64.encodebytes(fields.encode()).decode()
    raw = report(coded, kind="message/global-delivery-status", head="Content-Transfer-Encoding: base64\n")
    assert told(raw) == [("bounced", "bürgel@example.org")]


def test_a_report_with_crlf_and_without_blank_lines_is_read() -> None:
    raw = report(f"{MTA}\n{failed('bob@example.org')}").replace(b"\n", b"\r\n")
    assert told(raw) == [("bounced", "bob@example.org")]


def test_a_blocklist_s_refusal_is_no_word_about_the_mailbox() -> None:
    (one,) = reading(report(MTA, failed("bob@example.org", "smtp; 550 5.1.1 blocked using zen.test"))).told
    assert one.detail["class"] == "policy"


@pytest.mark.parametrize(
    "body",
    [
        "Hi. This is the qmail-send program at example.net.\nI'm afraid I wasn't able to deliver your "
        "message to the following addresses.\nThis is a permanent error; I've given up. Sorry it didn't "
        "work out.\n\n<bob@example.org>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n"
        "--- Below this line is a copy of the message.\n\nSubject: News\n",
    ],
)
def test_a_bounce_in_a_form_of_its_own_is_found_by_mailmans_detectors(body: str) -> None:
    (one,) = reading(plain("failure notice", body)).told
    assert (one.type, one.recipient) == ("bounced", "bob@example.org")
    assert (one.detail["source"], one.detail["class"], one.detail["permanent"]) == ("flufl", "mailbox", True)


def test_a_complaint_counts_by_the_bounce_address_that_it_was_sent_to_or_that_it_shows() -> None:
    to_token = reading(complaint("Original-Rcpt-To: <bob@example.org>"))
    assert [one.detail["proof"] for one in to_token.told] == ["token"]
    shown = reading(
        complaint("Original-Rcpt-To: <bob@example.org>", returned=f"Return-Path: <{VERP.upper()}>\n"), None
    )
    assert shown.origin == ORIGIN
    (one,) = shown.told
    assert (one.type, one.recipient) == ("complaint", "bob@example.org")
    assert (one.detail["feedback_type"], one.detail["proof"]) == ("abuse", "verp")


def test_a_complaint_counts_by_the_fields_of_rfc_9477_that_it_returns() -> None:
    name, _, host = VERP.partition("@")
    shown = f"CFBL-Address: fbl@{host}; report=arf\nCFBL-Feedback-ID: {name}\n"
    for text in (shown, shown.upper()):
        found = reading(complaint("Original-Rcpt-To: <bob@example.org>", returned=text), None)
        assert found.origin == ORIGIN
        assert [one.detail["proof"] for one in found.told] == ["cfbl"]
    for wrong in (
        shown.replace(host, "other.test"),
        shown.replace(name, "bounce-" + "b" * 40),
        f"X: {name}\n",
    ):
        assert reading(complaint(returned=wrong), None).origin is None


def test_a_complaint_without_a_bounce_address_of_ours_is_about_no_message() -> None:
    forged = VERP.replace("aa@", "ab@")
    for raw in (
        complaint("Original-Rcpt-To: <bob@example.org>"),
        complaint(f"Original-Mail-From: <{forged}>"),
    ):
        found = reading(raw, None)
        assert found.origin is None
        assert "proves no message" in found.unread


def test_taken_out_of_the_junk_folder_is_no_complaint() -> None:
    raw = complaint().replace(b"Feedback-Type: abuse", b"Feedback-Type: not-spam")
    assert [(one.type, one.detail["kind"]) for one in reading(raw).told] == [("response", "not-spam")]


@pytest.mark.parametrize(
    ("kind", "sender", "raw"),
    [
        ("auto-reply", "", plain("Away", "", "Auto-Submitted: auto-replied (x)", sender="b@e.test")),
        ("auto-reply", "b@e.test", plain("Away", "Back soon", "X-Autoreply: yes", sender="b@e.test")),
        ("auto-reply", "b@e.test", plain("Away", "Soon", "Precedence: auto_reply", sender="b@e.test")),
        ("reply", "b@e.test", plain("Re: News", "Thank you", sender="b@e.test")),
        ("receipt", "b@e.test", report("Disposition: x; displayed", kind="message/disposition-notification")),
        ("unread", "", plain("Something", "that nobody understands")),
        ("unread", "", b"no message at all"),
        ("unread", "", b""),
        ("unread", "", b"A: b\n\n" + b"boundary " * 100),
        ("unread", "", b"A: b\n" * 2_000 + b"\n"),
    ],
)  # fmt: skip
def test_what_is_no_failure_is_a_response_of_its_kind(kind: str, sender: str, raw: bytes) -> None:
    assert [(one.type, one.detail["kind"]) for one in reading(raw, sender=sender).told] == [
        ("response", kind)
    ]


def test_what_is_not_understood_says_why() -> None:
    assert "boundar" not in reading(plain("a", "b")).unread
    assert "multiparts" in reading(b"A: b\n\n" + b"boundary " * 100).unread


def test_a_report_names_no_more_recipients_than_count() -> None:
    assert len(reading(report(MTA, *(failed(f"b{n}@example.org") for n in range(500)))).told) == 100


@pytest.mark.parametrize("name", ["b\x07b@example.org", "b\u202eb@example.org", "x" * 400 + "@example.org"])
def test_no_address_or_reply_can_play_tricks_on_a_terminal_or_take_too_much_room(name: str) -> None:
    for one in reading(report(MTA, failed(name, "smtp; \x1b[2J" + "y" * 9_000))).told:
        assert one.recipient.isprintable()
        assert len(one.recipient) <= 320
        assert one.detail["reply"].isprintable()
        assert len(one.detail["reply"]) <= 500
