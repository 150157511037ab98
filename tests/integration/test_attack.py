"""Odd and hostile messages at the real daemon, by the milter protocol: answered in bounded time and memory.

What is accepted carries signatures that hold, the parts that no feature may touch as they came, and no
override; what is refused names the header. The workers live.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections import Counter
from pathlib import Path

import pytest

from gatepost_core.keys.dkim_keys import txt_record
from gatepost_milter.dkim.transport import has_long_line
from gatepost_milter.editing.headers import Header
from gatepost_milter.editing.message import Message
from gatepost_milter.parts.mime import view
from tests.corpus.fragments import document
from tests.corpus.maker import message
from tests.corpus.sunk import split
from tests.integration.harness import SENDER
from tests.integration.lone import ALL, Lone, lone_milter
from tests.integration.processes import pss
from tests.integration.wire import Answer
from tests.milter.dkim.judges import BOTH, by_dkimpy, by_opendkim

# GATEPOST_ATTACKS=100000 goes on for longer.
COUNT = int(os.environ.get("GATEPOST_ATTACKS", "1200"))
SECONDS_MOST = 20.0  # for one message, on a machine shared with others; a usual one takes 5 ms
GROWTH_MOST = 60_000_000
_NAMES = (b"Subject", b"X-Odd", b"To", b"Cc", b"Reply-To", b"List-Unsubscribe", b"Feedback-ID", b"X-Mailer")
# No VT or FF: both judges take these for white space, which RFC 6376 section 2.8 does not.
_VALUES = (
    b"",
    b" ",
    b" x",
    b"\tx",
    b" \xe9t\xe9",
    b" \xc3\xa9",
    b" a\rb",
    b" a\r\rb",
    b" x\n y\n\tz",
    b" \n \n x",
    b" " + b"y" * 5000,
    b" " + b"y z " * 1500,
    b" =?utf-8?q?=00=0A?=",
    b" %s%n%",
    b" <x@y>, <",
    b" \x1b\x01\x7f",
    b" " + "😀".encode() * 400,
)
# No space before the colon: dkimpy does not read it, and opendkim no bare CR; nobody would judge both.
_ODD_NAMES = (
    b"X-Gatepost-Tags",
    b"x-gatepost-TrackClicks",
    b"X-SMTPeter-InlineCSS",
    b"X_Gatepost_Images",
    b"X-Gatepost-",
    b"Content-Type",
    b"Content-Transfer-Encoding",
    b"DKIM-Signature",
    b"From",
    b"MIME-Version",
    b"Content-Disposition",
    b"!",
    b"a" * 900,
)
_ODD_VALUES = (
    *_VALUES,
    b" on",
    b" hosted",
    b" text/html",
    b" text/html; charset=",
    b' multipart/mixed; boundary="b\\"b"',
    b" multipart/related; boundary=' '",
    b" multipart/mixed; boundary=--",
    b" base64",
    b" Quoted-Printable (x)",
    b" multipart/mixed; boundary*0=b; boundary*1=c",
    b" message/rfc822",
    b" <alice@example.test>",
    b" attachment",
)


def attack(number: int) -> Message:
    """Return the message of a number, as libmilter would hand it over."""
    r = random.Random(number)  # noqa: S311  # no secret is made here
    plain = split(message(10_000 + number))
    headers = [header for header in plain.headers if b"\n" not in header.name]
    for _ in range(r.randrange(4)):
        odd = r.random() < 0.25
        name, value = r.choice(_ODD_NAMES if odd else _NAMES), r.choice(_ODD_VALUES if odd else _VALUES)
        headers.insert(r.randrange(len(headers) + 1), Header(name, value))
    body = plain.body
    if r.random() < 0.3:
        body = document(number).encode() + r.choice((b"", b"\r\n", b"\r", b"\r\n\r\n \t\r\n"))
    if r.random() < 0.2:
        boundary = r.choice((b"b", b"b" * 300, b"a b", b"--", b"'()+_,-./:=?"))
        head = b' multipart/alternative; boundary="' + boundary + b'"'
        headers = [h for h in headers if h.name.lower() != b"content-type"] + [Header(b"Content-Type", head)]
        part = b"--" + boundary + r.choice((b"\r\n", b" \t\r\n", b"\n", b"x\r\n"))
        body = (
            part
            + b"Content-Type: text/html\r\n\r\n"
            + body
            + b"\r\n"
            + part
            + body
            + b"--"
            + boundary
            + b"--"
        )
    # Postfix ends each line, the last one too, with CRLF, and takes CRs before that away.
    return Message(tuple(headers), re.sub(rb"\r*\n", b"\r\n", body + b"\n"))


def overrides(answer: Answer) -> list[bytes]:
    names = [header.name.lower().replace(b"_", b"-") for header in answer.message.headers]
    return [name for name in names if name.startswith((b"x-gatepost", b"x-smtpeter"))]


def protected(msg: Message) -> list[bytes]:
    """Return the parts that must not be edited, as they are; long lines would be broken anyway."""
    found = []
    for part in view(msg.headers, msg.body).walk():
        raw = msg.body[part.start : part.end]
        if part.protected and not has_long_line(raw):
            found.append(raw)
    return found


def check_accepted(number: int, sent: Message, answer: Answer, keys: dict[str, str], folder: Path) -> str:
    assert overrides(answer) == [], number
    assert all(raw in answer.message.body for raw in protected(sent)), number
    signed = sum(edit == "i" for edit, _ in answer.edits)
    if signed:
        holding = by_dkimpy(answer.raw, keys)[: len(BOTH)]
        if holding != BOTH:
            holding = by_opendkim(answer.raw, keys, folder)[: len(BOTH)]
        assert holding == BOTH, number
    return "signed" if signed else "passed"


@pytest.mark.timeout(3600)
def test_odd_messages_are_answered_in_bounded_time_and_the_workers_live(tmp_path: Path) -> None:
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    with lone_milter(tmp_path) as lone:
        login, keys = lone.provision.credential(ALL), published(lone)
        before = {pid: pss(pid) for pid in lone.workers()}
        for number in range(COUNT):
            sent = attack(number)
            began = time.monotonic()
            with lone.client(login) as client:
                answer = client.send(sent, SENDER, ["bob@example.org"])
            slowest = max(slowest, time.monotonic() - began)
            assert answer.action in ("accept", "reject"), (number, answer.reply)
            if answer.action == "accept":
                outcomes[check_accepted(number, sent, answer, keys, tmp_path)] += 1
            else:
                assert answer.reply.startswith("550 5.6.0 "), (number, answer.reply)
                outcomes["refused"] += 1
        assert lone.workers() == list(before)
        assert "internal error" not in lone.log()
        assert "worker died" not in lone.log()
        growth = max(pss(pid) - size for pid, size in before.items())
    print(f"{dict(outcomes)}, slowest {slowest:.2f} s, {growth / 1e6:.1f} MB more")
    assert slowest < SECONDS_MOST
    assert growth < GROWTH_MOST
    assert min(outcomes["signed"], outcomes["refused"]) > COUNT // 100


def published(lone: Lone) -> dict[str, str]:
    domain = lone.provision.domain()
    return {
        f"{key.selector}._domainkey.{domain.name}": txt_record(key.algorithm, key.public)
        for key in domain.keys
    }
