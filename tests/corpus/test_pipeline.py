"""For every message of the corpus and every single feature: nothing changes but what the feature says."""

from __future__ import annotations

import email
import email.policy
import re
import time
import tracemalloc
from collections.abc import Iterator
from email.message import Message as Parsed

import pytest
from selectolax.lexbor import LexborHTMLParser

from gatepost_core.domain import FeatureValue
from gatepost_milter.editing.headers import Header
from gatepost_milter.editing.message import Message, Plan, outcome, render
from gatepost_milter.parts.charsets import CharsetError, decode
from gatepost_milter.parts.mime import Part, view
from gatepost_milter.parts.transfer import TransferError, open_part
from gatepost_milter.pipeline import process
from gatepost_milter.surgery.context import Context
from tests.milter.making import message as parsed_message

from .letters import letter
from .maker import COUNT, message
from .undoing import comparable, context, undone, without_images

FEATURES: dict[str, dict[str, FeatureValue]] = {
    "none": {},
    "trackclicks": {"trackclicks": True},
    "trackopens": {"trackopens": True},
    "preventscam": {"trackclicks": True, "preventscam": True},
    "inlinecss": {"inlinecss": True},
    "images": {"images": "hosted"},
    "unsubscribe": {"unsubscribe": True},
    "privacy": {"privacy": True},
    "feedbackid": {"feedbackid": True},
    "trackbounces": {"trackbounces": True},
    "tags": {"tags": ("a",)},
    "all": {
        "trackclicks": True,
        "trackopens": True,
        "preventscam": True,
        "inlinecss": True,
        "images": "hosted",
        "unsubscribe": True,
        "privacy": True,
        "feedbackid": True,
        "trackbounces": True,
    },
}
ENCODED = {b"content-transfer-encoding", b"mime-version"}
ADDED = {
    "unsubscribe": {b"list-unsubscribe", b"list-unsubscribe-post"},
    "feedbackid": {b"feedback-id"},
    "all": {b"list-unsubscribe", b"list-unsubscribe-post", b"feedback-id", *ENCODED},
    **dict.fromkeys(("trackclicks", "preventscam", "trackopens", "inlinecss", "images"), ENCODED),
}
PRIVATE = {b"x-mailer", b"user-agent", b"x-originating-ip", b"x-php-originating-script"}


def as_milter_sees(raw: bytes) -> Message:
    """Return a message as libmilter hands it over: headers taken apart, the body as it came."""
    head, blank, body = raw.partition(b"\r\n\r\n")
    return Message(parsed_message(head + blank).headers, body)


LETTERS = 42
MESSAGES = [as_milter_sees(message(seed)) for seed in range(COUNT)]
MESSAGES += [as_milter_sees(letter(number)) for number in range(LETTERS)]


def html_parts(msg: Message, body: bytes) -> list[Part]:
    return [part for part in view(msg.headers, body).walk() if part.type == "text/html" and not part.children]


def text_of(part: Part, body: bytes) -> str | None:
    try:
        data = open_part(part.encoding, body[part.start : part.end]).decoded
        # A part that became quoted-printable has the same lines, with LF inside.
        return decode(data, part.parameters.get("charset"))[0].replace("\r\n", "\n")
    except (TransferError, CharsetError):
        return None


def outside(msg: Message, body: bytes) -> bytes:
    """Return all of a body but its HTML parts' contents, and but for parts' transfer encodings."""
    pieces, place = [], 0
    for part in sorted(html_parts(msg, body), key=lambda part: part.start):
        if part.start >= place:
            pieces.append(body[place : part.start])
            place = part.end
    pieces.append(body[place:])
    return re.sub(rb"(?i)\r\nContent-Transfer-Encoding:[^\r\n]*", b"", b"<>".join(pieces))


def outline(html: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return elements with their attributes' names, texts as they are; styles and 1x1 images left out."""
    root = LexborHTMLParser(html).root
    result: list[tuple[str, tuple[str, ...]]] = []
    for node in root.traverse(include_text=True) if root is not None else ():
        if node.tag == "img" and "/o/P.gif" in (node.attributes.get("src") or ""):
            continue
        names = tuple(sorted(set(node.attributes) - {"style"})) if node.tag != "-text" else (node.text(),)
        if node.tag == "-text" and result and result[-1][0] == "-text":
            names = (result.pop()[1][0] + names[0],)  # the 1x1 image parted a text
        result.append((node.tag or "", names))
    return result


def edited() -> Iterator[tuple[int, Message, Plan]]:
    ctx = context(**FEATURES["all"])
    for seed, msg in enumerate(MESSAGES):
        plan = process(msg, ctx)
        assert isinstance(plan, Plan), (seed, plan)
        yield seed, msg, plan


@pytest.mark.parametrize("name", FEATURES)
def test_undoing_the_edits_gives_every_message_back(name: str) -> None:
    ctx = context(**FEATURES[name])
    for seed, msg in enumerate(MESSAGES):
        plan = process(msg, ctx)
        assert isinstance(plan, Plan), (seed, plan)
        assert plan.notes == (), (seed, plan.notes)
        headers = outcome(msg, plan).headers
        check_headers(name, msg.headers, headers, seed)
        if plan.body is None:
            continue
        assert name in ("trackclicks", "trackopens", "preventscam", "inlinecss", "images", "all"), seed
        after = Message(headers, plan.body)
        if not _images_went(plan, msg):
            assert outside(after, plan.body) == outside(msg, msg.body), (name, seed)
        before, now = html_parts(msg, msg.body), html_parts(after, plan.body)
        assert len(before) == len(now), (name, seed)
        for one, two in zip(before, now, strict=True):
            old, new = text_of(one, msg.body), text_of(two, plan.body)
            if old is None or new is None:
                assert plan.body[two.start : two.end] == msg.body[one.start : one.end], (name, seed)
            elif "images" in FEATURES[name]:
                assert without_images(undone(new)) == without_images(undone(old)), (name, seed)
            else:
                assert undone(new) == comparable(old), (name, seed)


def check_headers(name: str, before: tuple[Header, ...], after: tuple[Header, ...], seed: int) -> None:
    """Overrides are gone, private fields by their feature only, others are as they came, in order."""
    gone = {b"x-gatepost-tags"} | (PRIVATE if name in ("privacy", "all") else set())
    expected = [_plain(header) for header in before if header.name.lower() not in gone]
    assert [_plain(header) for header in after[: len(expected)]] == expected, (name, seed)
    added = {header.name.lower() for header in after[len(expected) :]}
    assert added <= ADDED.get(name, set()), (name, seed)


def _plain(header: Header) -> Header:
    """Return a header field; a part's transfer encoding may change with its content."""
    return Header(header.name, b"") if header.name.lower() == b"content-transfer-encoding" else header


def _images_went(plan: Plan, msg: Message) -> bool:
    return plan.body is not None and plan.body.count(b"image/png") < msg.body.count(b"image/png")


def test_every_feature_acts_on_some_messages_of_the_corpus() -> None:
    """A corpus in which a feature finds nothing to do would prove nothing about it."""
    counts: dict[str, int] = {}
    for _, _, plan in edited():
        for name in plan.applied:
            counts[name] = counts.get(name, 0) + 1
    assert set(counts) >= set(FEATURES["all"]), counts
    assert min(counts[name] for name in FEATURES["all"]) >= LETTERS, counts
    assert counts["trackclicks"] > 120, counts


def test_the_standard_library_reads_the_same_structure_before_and_after() -> None:
    def shape(raw: bytes) -> list[tuple[str, str, list[str]]]:
        walked: Iterator[Parsed] = email.message_from_bytes(raw, policy=email.policy.compat32).walk()
        parts = [part for part in walked if part.get_content_type() != "image/png"]
        return [
            (p.get_content_type(), str(p.get_content_charset()), [type(d).__name__ for d in p.defects])
            for p in parts
        ]

    for seed, msg, plan in edited():
        assert shape(render(msg, plan)) == shape(render(msg, Plan())), seed


def test_an_html5_parser_sees_the_same_tree_before_and_after() -> None:
    compared = 0
    for seed, msg, plan in edited():
        if plan.body is None:
            continue
        after = outcome(msg, plan)
        pairs = zip(html_parts(msg, msg.body), html_parts(after, plan.body), strict=True)
        for one, two in pairs:
            old, new = text_of(one, msg.body), text_of(two, plan.body)
            if old is not None and new is not None and old != new:
                compared += 1
                assert outline(new) == outline(old), seed
    assert compared > 100


def test_no_line_leaves_longer_than_smtp_allows_unless_it_came_so() -> None:
    for seed, msg, plan in edited():
        if plan.body is not None:
            after = outcome(msg, plan)
            pairs = zip(html_parts(msg, msg.body), html_parts(after, plan.body), strict=True)
            for one, two in pairs:
                if plan.body[two.start : two.end] != msg.body[one.start : one.end]:
                    lines = re.split(rb"\r?\n", plan.body[two.start : two.end])
                    assert max(map(len, lines)) <= 998, seed


def test_empty_and_huge_messages_pass_untouched_in_little_time() -> None:
    ctx = context(**FEATURES["all"])
    small = process(Message((), b""), ctx)
    assert isinstance(small, Plan)
    assert small.body is None
    piece = b"<a href='https://example.org/'>x</a>\r\n"
    headers = parsed_message("From: a@example.test\nContent-Type: text/html\n\n").headers
    huge = Message(headers, piece * (40_000_000 // len(piece)))
    tracemalloc.start()
    began = time.process_time()
    plan = process(huge, Context(ctx.features, ctx.click, edit_size_limit=10_000_000))
    whole = process(huge, ctx)
    spent, peak = time.process_time() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(plan, Plan)
    assert isinstance(whole, Plan)
    assert (plan.body, whole.body) == (None, None)
    assert plan.skipped["trackclicks"] == "the message has more than 10000000 bytes"
    assert whole.skipped["trackclicks"] == "the HTML body has more than 1048576 bytes"
    assert peak < 2 * len(huge.body)
    assert spent < 5
