"""Corpus messages through a real Postfix: with edits undone, what Postfix alone delivers reaches the sink."""

from __future__ import annotations

import base64
import re

import pytest

from gatepost_core.domain import FeatureValue
from tests.corpus.maker import message
from tests.corpus.sunk import led_to
from tests.corpus.undoing import STYLE, comparable
from tests.integration.harness import SENDER, Gateway, fresh_recipient
from tests.integration.test_fidelity import NEWSLETTER

SEEDS = range(0, 320, 13)
FEATURES: dict[str, dict[str, FeatureValue]] = {
    "trackclicks": {"trackclicks": True, "preventscam": True},
    "inlinecss": {"inlinecss": True},
    "headers": {"unsubscribe": True, "privacy": True, "feedbackid": True, "trackbounces": True},
}
_TOKEN = re.compile(r"https://click\.example\.test/([\w-]{40,})")
_ADDED = re.compile(rb"(?im)^(?:List-Unsubscribe(?:-Post)?|Feedback-ID):.*\n")
_PRIVATE = re.compile(
    rb"(?im)^(?:X-Mailer|User-Agent|X-Originating-IP|X-Gatepost-Tags|Content-Transfer-Encoding):.*\n"
)


def leaves(gateway: Gateway, content: bytes, features: dict[str, FeatureValue]) -> bytes:
    """Return what reaches the next hop, without what differs from run to run."""
    recipient = fresh_recipient()
    with gateway.logged_in(gateway.stack.provision.credential(features)) as connection:
        connection.mail(SENDER, ["body=8bitmime"])
        connection.rcpt(recipient)
        code, reply = connection.data(content)
        assert code == 250, reply
    raw = gateway.delivered(recipient).message
    return re.sub(rb"\AReceived: .*\n(?:[ \t].*\n)*", b"", raw)


def undone(raw: bytes) -> bytes:
    """Return a delivered message without our edits, parts decoded, fields that may come and go left out."""
    return _PRIVATE.sub(b"", _ADDED.sub(b"", raw))


def texts(raw: bytes) -> list[str]:
    """Return the decoded lines of a message, whatever their transfer encoding, our edits undone."""
    # smtp(8) cuts lines over 998 bytes (smtp_line_length_limit); an edited part is encoded, so that none is.
    unfolded = re.sub(rb"(?<=[^\n]{990})\n ", b"", raw).replace(b"=\n", b"")
    text = re.sub(rb"=([0-9A-F]{2})", lambda m: bytes([int(m[1], 16)]), unfolded).decode("latin-1")
    text = re.sub(r"(?m)(?:^[A-Za-z0-9+/]{60,}\n)+[A-Za-z0-9+/=]*$", _decoded, text)
    text = _TOKEN.sub(_original, text)
    # Where a base64 text ends decides whether an empty line is seen here.
    return [line for line in comparable(STYLE.sub("", text)).replace("\r", "").split("\n") if line]


def _decoded(match: re.Match[str]) -> str:
    return base64.b64decode(match[0] + "==").decode("latin-1")


def _original(match: re.Match[str]) -> str:
    return led_to(match[1])


@pytest.mark.parametrize("name", FEATURES)
def test_undoing_the_edits_gives_what_postfix_alone_delivers(
    gateway: Gateway, baseline: Gateway, name: str
) -> None:
    changed = 0
    messages = [message(seed) for seed in SEEDS]
    messages.append(NEWSLETTER.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    for place, content in enumerate(messages[:-1] if name == "inlinecss" else messages):
        before, after = leaves(baseline, content, {}), leaves(gateway, content, FEATURES[name])
        changed += before != after
        assert texts(undone(after)) == texts(undone(before)), place
    assert changed >= 3
