"""What the tests of the surgery share: messages from files and texts, and a click rewriter."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gatepost_core.domain import FeatureValue, in_force
from gatepost_milter.editing.headers import Header
from gatepost_milter.editing.message import Message, Plan
from gatepost_milter.pipeline import process
from gatepost_milter.surgery.context import Context

MESSAGES = Path(__file__).parent / "messages"
PREFIX = "https://click.example.test/TOKEN"
OPEN = "https://click.example.test/OPEN"
PIXEL = "https://click.example.test/o/PIXEL.gif"
HONEY = "https://click.example.test/h/HONEY"
HOSTED = "https://click.example.test/i/"


def click(scheme: str, authority: str, path_and_query: str) -> str:
    """Stand in for the token library, which has tests of its own."""
    assert scheme in ("http", "https")
    assert authority
    assert not path_and_query or path_and_query[0] in "/?"
    return PREFIX


def opens(scheme: str, authority: str, path_and_query: str) -> str:
    """Stand in for the token library."""
    return click(scheme, authority, path_and_query).replace(PREFIX, OPEN)


def host(data: bytes, content_type: str) -> str:
    """Stand in for the image store, which has tests of its own."""
    return f"{HOSTED}{hashlib.sha256(data).hexdigest()[:8]}.{content_type.partition('/')[2]}"


def context(*features: str, **values: FeatureValue) -> Context:
    """Return a context in which every feature finds what it needs, with these on."""
    return Context(
        in_force({**dict.fromkeys(features, True), **values}),
        click,
        opens=opens,
        pixel=PIXEL,
        honey=HONEY,
        host=host,
        unsubscribe="https://click.example.test/u/TOKEN",
        bounce_sender="bounce-token@bounces.example.test",
        feedback="7:acme:acme-",
        complaints="bounce-token fbl@bounces.example.test",
    )


def message(text: str | bytes) -> Message:
    """Return a message as libmilter hands it over, from a text with any line ends."""
    raw = text.encode() if isinstance(text, str) else text
    head, _, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    headers: list[Header] = []
    for line in head.split(b"\n"):
        if line[:1] in (b" ", b"\t"):
            last = headers.pop()
            headers.append(Header(last.name, last.value + b"\n" + line))
        else:
            name, _, value = line.partition(b":")
            headers.append(Header(name, value))
    return Message(tuple(headers), body.replace(b"\n", b"\r\n"))


def html_message(html: str, encoding: str = "8bit", charset: str = "utf-8") -> Message:
    """Return a message whose body is this HTML, not encoded further."""
    head = (
        f"From: a@example.test\nContent-Type: text/html; charset={charset}\n"
        f"Content-Transfer-Encoding: {encoding}\n\n"
    )
    parsed = message(head)
    return Message(parsed.headers, html.encode(charset))


def plan_of(msg: Message, *features: str, **values: FeatureValue) -> Plan:
    """Return the plan with these features on; fails on a refusal."""
    plan = process(msg, context(*features, **values))
    assert isinstance(plan, Plan), plan
    return plan


def edited(html: str, *features: str, **values: FeatureValue) -> str:
    """Return HTML after these features."""
    msg = html_message(html)
    plan = plan_of(msg, *features, **values)
    assert plan.notes == ()
    return (msg.body if plan.body is None else plan.body).decode()
