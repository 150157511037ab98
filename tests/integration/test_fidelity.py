"""A message for which no feature is on leaves the gateway as it would leave Postfix alone, byte for byte."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.harness import SENDER, Gateway, fresh_recipient

NEWSLETTER = Path(__file__).parents[1] / "milter/messages/newsletter.eml"
HEAD = b"From: <alice@example.test>\r\nTo: <bob@example.org>\r\nDate: Sun, 1 Mar 2026 12:00:00 +0100\r\n"
CASES: dict[str, bytes] = {
    "newsletter": NEWSLETTER.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
    "odd white space in headers": HEAD
    + b"Subject:no space\r\nX-Tabs:\t tab\r\nX-Folded: one\r\n\ttwo\r\n   three  \r\n"
    + b"X-Empty:\r\n\r\nbody\r\n",
    "raw 8-bit header and body": HEAD + b"Subject: caf\xe9 \xc3\xa9\r\n\r\ncaf\xe9 \xff\xfe\r\n",
    "the same header more than once": HEAD + b"X-A: 1\r\nX-B: 2\r\nX-A: 3\r\nSubject: x\r\n\r\n.\r\n",
    "no body": HEAD + b"Subject: empty\r\n\r\n",
    "trailing blank lines and spaces": HEAD + b"Subject: x\r\n\r\n  text  \r\n\r\n\r\n",
    "a body that looks like headers": HEAD + b"Subject: x\r\n\r\nSubject: y\r\n\r\nFrom me\r\n",
    "no Message-Id and no Date": b"From: <alice@example.test>\r\nSubject: x\r\n\r\nx\r\n",
    "a part that is signed": HEAD
    + b'Subject: x\r\nContent-Type: multipart/signed; boundary="b"; '
    + b'protocol="application/pgp-signature"\r\n\r\n'
    + b"--b\r\nContent-Type: text/html\r\n\r\n<p>hi</p>\r\n--b\r\n"
    + b"Content-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n",
}


def leaves(gateway: Gateway, content: bytes) -> bytes:
    """Return what reaches the next hop, without what differs from run to run."""
    recipient = fresh_recipient()
    with gateway.logged_in(gateway.stack.provision.credential()) as connection:
        connection.mail(SENDER, ["body=8bitmime"])
        connection.rcpt(recipient)
        assert connection.data(content)[0] == 250
    message = gateway.delivered(recipient).message
    queue_id = re.search(rb"\bid (\w+)", message)
    assert queue_id
    message = re.sub(rb"\AReceived: .*\n(?:[ \t].*\n)*", b"", message)
    message = message.replace(queue_id.group(1), b"QUEUEID")
    return message if b"\r\nDate:" in content else re.sub(rb"(?m)^Date: .*$", b"Date: now", message, count=1)


def test_a_header_field_that_postfix_cuts_because_there_is_a_milter_is_noted_in_the_log(
    gateway: Gateway,
) -> None:
    line = b" " + b"x" * 69 + b"\r\n"
    short = leaves(gateway, HEAD + b"X-Long:" + line * 800 + b"\r\nbody\r\n")
    assert short.count(b"x" * 69) == 800
    assert "X-Long has" not in gateway.logged("milter", "event=accepted .* size=5")
    long = leaves(gateway, HEAD + b"X-Long:" + line * 2500 + b"\r\nbody\r\n")
    assert 800 < long.count(b"x" * 69) < 2500
    gateway.logged("milter", r"X-Long has 5\d{4} bytes and may have been cut")


@pytest.mark.parametrize("name", CASES)
def test_without_features_a_message_passes_as_through_postfix_alone(
    gateway: Gateway, baseline: Gateway, name: str
) -> None:
    assert leaves(gateway, CASES[name]) == leaves(baseline, CASES[name])
