"""What a report becomes that is forwarded: ours, with what theirs says for programs."""

from __future__ import annotations

import base64
import quopri
import tracemalloc
from contextlib import suppress
from datetime import UTC, datetime
from email import message_from_bytes, message_from_string, policy
from email.message import EmailMessage

import pytest

from gatepost_events.forwarding.composing import About, UnfitError, circle, compose
from tests.bounces.forms import MTA, failed, plain, report
from tests.steps import World, assert_linear

ADDRESS = "bounce-abc@bounces.example.test"
ABOUT = About(
    "n1", "m1", ADDRESS, "alice@example.test", datetime(2026, 11, 28, 12, 0, tzinfo=UTC), "gw.example"
)
RETURNED = (
    f"--b\nContent-Type: message/rfc822\n\nReturn-Path: <{ADDRESS.upper()}>\nSubject: News\n"
    "Message-ID: <x@y>\n\nPay!\n"
)
RAW = report(MTA, failed("bob@example.org"), extra=RETURNED)


def composed(raw: bytes, about: About = ABOUT) -> EmailMessage:
    content = compose(raw, about)
    assert content.count(b"\n") == content.count(b"\r\n") == content.count(b"\r")
    found = message_from_bytes(content, policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


def kinds(found: EmailMessage) -> list[str]:
    return [part.get_content_type() for part in found.iter_parts()]


def test_a_report_stays_one_for_programs_and_is_in_the_words_of_whom_it_goes_to() -> None:
    found = composed(RAW)
    assert found["To"] == "alice@example.test"
    assert found["Gatepost-Report"] == "n1; message=m1; by=gw.example"
    assert found["Auto-Submitted"] == "auto-replied"
    assert found["Subject"] == "Undelivered Mail Returned to Sender"
    assert found["Content-Type"].params["report-type"] == "delivery-status"
    assert kinds(found) == ["text/plain", "message/delivery-status", "text/rfc822-headers"]
    content = compose(RAW, ABOUT)
    assert ADDRESS.encode() not in content.lower()
    _, status, returned = found.iter_parts()
    blocks = status.get_payload()
    assert isinstance(blocks, list)
    assert [one.items() for one in blocks if isinstance(one, EmailMessage)] == [
        [("Reporting-MTA", "dns; mx.example.org")],
        [
            ("Final-Recipient", "rfc822; bob@example.org"),
            ("Action", "failed"),
            ("Status", "5.1.1"),
            ("Diagnostic-Code", "smtp; 550 5.1.1 User unknown"),
        ],
    ]
    fields = message_from_string(str(returned.get_payload()))
    assert (fields["Return-Path"], fields["Message-ID"]) == ("<alice@example.test>", "<x@y>")
    assert compose(RAW, ABOUT) == content  # with the same Message-ID


FORGED = (
    b"From: Operator <support@gw.example>\nSender: ceo@gw.example\nReply-To: eve@evil.example\n"
    b"Disposition-Notification-To: eve@evil.example\nSubject: Pay at once\n"
    b"X-Failed-Recipients: bob@example.org\n"
)


@pytest.mark.parametrize("rest", [b"\nPay here: http://evil.example\n", RAW.partition(b"Auto-Submitted")[2]])
def test_nobody_speaks_as_the_gateway(rest: bytes) -> None:
    raw = FORGED + (b"\n" + rest if rest.startswith(b"\n") else b"Auto-Submitted" + rest)
    found = composed(raw)
    assert found["From"].addresses[0].addr_spec == "MAILER-DAEMON@bounces.example.test"
    assert {name.lower() for name in found} == {
        "gatepost-report", "from", "to", "subject", "date", "message-id", "auto-submitted", "mime-version",
        "content-type",
    }  # fmt: skip
    assert "Pay" not in found["Subject"]
    text = next(found.iter_parts()).get_content()
    assert "Pay" not in text
    assert "Pay!" not in str(found)  # what a report says of a message's body is not taken over


def test_a_bounce_in_a_form_of_its_own_is_attached() -> None:
    raw = plain("failure notice", "<bob@example.org>: no such user", f"To: <{ADDRESS}>")
    found = composed(raw)
    assert found.get_content_type() == "multipart/mixed"
    assert kinds(found) == ["text/plain", "message/rfc822"]
    inside = list(found.iter_parts())[1].get_content()
    assert (inside["Subject"], inside["To"]) == ("failure notice", "alice@example.test")
    assert "no such user" in inside.get_content()


@pytest.mark.parametrize(
    ("action", "subject"),
    [
        ("delayed", "Delayed"),
        ("delivered", "Successful"),
        ("relayed", "Successful"),
        ("x-odd", "Report about"),
    ],
)
def test_the_subject_says_what_is_reported(action: str, subject: str) -> None:
    raw = report(MTA, failed("bob@example.org").replace("Action: failed", f"Action: {action}"))
    assert composed(raw)["Subject"].startswith(subject)


@pytest.mark.parametrize("coding", ["base64", "quoted-printable"])
def test_a_delivery_status_in_another_encoding_is_read(coding: str) -> None:
    text = f"{MTA}\n\n{failed('bob@example.org')}\n".encode()
    encoded = base64.encodebytes(text) if coding == "base64" else quopri.encodestring(text)
    raw = report(encoded.decode(), head=f"Content-Transfer-Encoding: {coding}\n")
    assert kinds(composed(raw)) == ["text/plain", "message/delivery-status"]


def test_what_is_no_field_is_not_taken_over() -> None:
    raw = report(MTA, failed("bob@example.org") + "\n--c\nContent-Type: text/html\n\n<b>Pay</b>\n\x00\x07")
    found = composed(raw)
    assert b"<b>" not in compose(raw, ABOUT)
    assert kinds(found) == ["text/plain", "message/delivery-status"]


def test_addresses_and_words_that_are_not_ascii_stay() -> None:
    raw = report(MTA, failed("bob@example.org", "smtp; 550 Größe"))
    found = composed(raw, ABOUT._replace(recipient="ällice@example.test"))
    assert kinds(found)[1] == "message/global-delivery-status"
    assert "Größe".encode() in compose(raw, ABOUT)


@pytest.mark.parametrize(
    "raw", [b"", b"Subject: x", b"\n\n", b"no header\n\nbody", b"Content-Type: multipart/report\n\n"]
)
def test_what_is_only_a_header_or_nothing_is_attached(raw: bytes) -> None:
    assert kinds(composed(raw)) == ["text/plain", "message/rfc822"]


def test_a_circle_is_known_by_this_gateway_s_own_name_and_others_are_passed() -> None:
    ours = compose(RAW, ABOUT)
    assert "forwarded here" in circle(ours, "GW.example")
    assert circle(RAW, "gw.example") == ""
    assert circle(ours, "other.example") == ""  # a customer's own Gatepost tells its own client
    theirs = compose(ours, ABOUT._replace(number="n2", by="other.example"))
    assert message_from_bytes(theirs).get_all("Gatepost-Report") == [
        "n2; message=m1; by=other.example",
        "n1; message=m1; by=gw.example",
    ]
    assert "forwarded here" in circle(theirs, "gw.example")
    raw = ours
    for number in range(5):
        assert circle(raw, "last.example") == ""
        raw = compose(raw, ABOUT._replace(number=f"h{number}", by=f"g{number}.example"))
    assert "gateways" in circle(raw, "last.example")


def test_a_header_that_is_too_large_costs_nothing() -> None:
    raw = b"X-Failed-Recipients: bob@example.org\n" + b"x: " + b"y" * 900 + b"\n" + b"ab:x\n" * 4_000_000
    tracemalloc.start()
    with pytest.raises(UnfitError, match="header"):
        compose(raw, ABOUT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


@pytest.mark.parametrize(
    "piece",
    [
        "To: x\n",
        " \t",
        f"<{ADDRESS}> ",
        "Gatepost-Report:",
        "\n",
        ">",
        "no ",
        "--b\n",
        "--b \t",
        "\n\n",
        "a:\n",
    ],
)
@pytest.mark.parametrize("where", ["header", "body", "status"])
def test_a_report_of_any_size_costs_what_its_size_does(piece: str, where: str) -> None:
    counted = World()
    module = counted.load("gatepost_events.forwarding.composing")

    def made(size: int) -> bytes:
        if where == "status":
            return report(MTA, failed("bob@example.org") + "\n" + piece * size)
        head = f"X: {piece * size}" if where == "header" else "X: y"
        return f"{head}\nContent-Type: multipart/report; boundary=b\n\n--b\n\n{piece * size}".encode()

    def act(raw: bytes) -> None:
        module.circle(raw, "gw.example")
        with suppress(module.UnfitError):
            module.compose(raw, ABOUT)

    assert_linear(counted, made, act)
