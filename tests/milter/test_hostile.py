"""Messages made to hurt: bounded time and memory, untouched or edited, and never an error of ours."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import pytest

from gatepost_milter.editing.headers import Header
from gatepost_milter.editing.message import Message, Plan, render
from gatepost_milter.pipeline import process

from .making import context, html_message, message
from .test_pipeline import multipart

CPU_MOST = 4.0  # seconds, on a machine shared with others; real messages take a thousandth of it
MEMORY_MOST = 250_000_000  # bytes; the largest of these messages has 10 million
RULE = "<style>p{color:red}</style>"


def nested(levels: int) -> Message:
    body = "Content-Type: text/html\n\n<p>x"
    for level in range(levels):
        body = f"Content-Type: multipart/mixed; boundary=L{level}X\n\n--L{level}X\n{body}\n--L{level}X--"
    return multipart(body)


def with_header(name: bytes, value: bytes) -> Message:
    plain = html_message("<a href='https://x.test/'>x</a>")
    return Message((*plain.headers, Header(name, value)), plain.body)


def images(count: int) -> Message:
    part = "Content-Type: image/png\nContent-ID: <i{}@x>\n\n\x89PNG\r\n"
    refs = "".join(f"<img src='cid:i{number}@x'>" for number in range(count))
    parts = [f"Content-Type: text/html\n\n{refs}", *(part.format(number) for number in range(count))]
    return multipart(*parts, kind="related")


def cid_loop() -> Message:
    loop = "Content-Type: text/html\nContent-ID: <{0}@x>\n\n<img src='cid:{1}@x'><iframe src='cid:{1}@x'>"
    return multipart(*(loop.format(n, (n + 1) % 50) for n in range(50)), kind="related")


HOSTILE: dict[str, Callable[[], Message]] = {
    "HTML bomb: tags never closed": lambda: html_message(RULE + "<div>" * 180_000),
    "HTML bomb: formatting elements cloned": lambda: html_message(RULE + "<b><i><u>" * 3_000 + "<p>" * 9_000),
    "HTML bomb: nested tables": lambda: html_message(RULE + "<table><tr><td>" * 50_000),
    "100,000 links in 5 MB": lambda: html_message(
        "<a href='https://x.test/aaaaaaaaaaaaaaaaaaaaa'>x</a>" * 100_000
    ),
    "19,000 links in 1 MB": lambda: html_message(
        "<a href='https://x.test/aaaaaaaaaaaaaaaaaaa'>x</a>" * 19_000
    ),
    "19,000 images": lambda: html_message("<img srcset='https://x.test/a 1x, https://x.test/b'>" * 19_000),
    "1,000 nested parts": lambda: nested(1_000),
    "100,000 parts": lambda: multipart(*["\nx"] * 100_000),
    "a header name of 10,000 bytes": lambda: with_header(b"X" * 10_000, b" 1"),
    "an override's name of 10,000 bytes": lambda: with_header(b"X-Gatepost-" + b"a" * 10_000, b" 1"),
    "9,000 header fields": lambda: message("From: a@b\n" + "X-Mailer: x\n" * 9_000 + "\nx"),
    "100,000 header fields": lambda: message("From: a@b\n" + "X-Mailer: x\n" * 100_000 + "\nx"),
    "a billion entities": lambda: html_message(
        "<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;&a;'>]><p>" + "&b;&#x41;&lol9;" * 60_000
    ),
    "entities in an attribute": lambda: html_message(
        f"<a href='https://x.test/{'&amp;&#65;&copy' * 60_000}'>x</a>"
    ),
    "attributes without end": lambda: html_message("<a " + "b='c' " * 150_000),
    "attributes of one letter": lambda: html_message("<p " + "a=" * 300_000 + ">"),
    "quotes that never close": lambda: html_message('<a href="x' + "' \" =" * 150_000),
    "tags that never end": lambda: html_message("<a <b <c " * 100_000),
    "comments that never end": lambda: html_message("<!-- -- <!--[if mso]>" * 45_000),
    "conditional comments": lambda: html_message(
        RULE + "<!--[if mso]><p><a href='https://x.test/'><![endif]-->" * 15_000
    ),
    "url( without end": lambda: html_message(f"<p style='{'url(' * 200_000}'>{RULE}"),
    "image declarations": lambda: html_message(f"<style>{'background:url(' * 60_000}</style><p>"),
    "srcset of commas": lambda: html_message(f"<img srcset='{',(' * 400_000}'>"),
    "a sheet from a file": lambda: html_message(
        "<link rel=stylesheet href=file:///etc/passwd><style>@import 'file:///etc/passwd';p{color:red}</style><p>"
    ),
    "huge CSS": lambda: html_message(f"<style>{'p{color:red}' * 80_000}</style><p>x"),
    "CSS comments that never end": lambda: html_message(f"<style>p{{a:url(x)}}{'/* ' * 80_000}</style><p>"),
    "HTML comments with another end": lambda: html_message(
        f"<a href='https://x.test/'>x.{'<!-- --!>' * 60_000}</a>{RULE}<p>{'<? <!-- >' * 30_000}</body>"
    ),
    "costly selectors": lambda: html_message(
        f"<style>{':not(:has(p *)) > p{a:b}' * 150}</style>" + "<p>" * 900
    ),
    "attribute selectors": lambda: html_message(
        "<style>" + "[a][b]{c:d}" * 2_000 + "</style>" + "<p a=1 b>" * 900
    ),
    "cid loop": cid_loop,
    "900 images": lambda: images(900),
    "malformed boundaries": lambda: multipart(*["--B--\n--B \n--B\t--\n-\n--\n--BB"] * 2_000),
    "delimiters that are none": lambda: message(
        "From: a@b\nContent-Type: multipart/mixed; boundary=B\n\n" + "--Bx\n" * 200_000
    ),
    "a boundary of 60,000 bytes": lambda: message(
        f"From: a@b\nContent-Type: multipart/mixed; boundary={'b' * 60_000}\n\n--{'b' * 60_000}\n\nx"
    ),
    "Content-Type parameters": lambda: message(
        "From: a@b\nContent-Type: text/html" + "; a=b" * 20_000 + "\n\n<p>"
    ),
    "Content-Type quotes": lambda: message(
        'From: a@b\nContent-Type: text/html; a="' + '\\"' * 30_000 + "\n\n<p>"
    ),
    "quoted-printable of escapes": lambda: html_message(
        "=3Ca href=3D'https://x.test/'=3E" * 30_000, "quoted-printable"
    ),
    "base64 without line ends": lambda: html_message(
        "PGEgaHJlZj0iaHR0cHM6Ly94LnRlc3QvIj54PC9hPgAA" * 20_000, "base64"
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_message_costs_bounded_time_and_memory_and_passes(name: str) -> None:
    msg = HOSTILE[name]()
    ctx = context(
        "trackclicks", "trackopens", "preventscam", "inlinecss", "unsubscribe", "privacy", images="hosted"
    )
    began = time.process_time()
    plan = process(msg, ctx)
    spent = time.process_time() - began
    assert spent < CPU_MOST
    if isinstance(plan, Plan):
        assert all("may have been cut" in note for note in plan.notes)
        assert set(plan.skipped) | set(plan.applied)
        assert sum(map(len, plan.skipped.values())) < 4_000
        assert len(render(msg, plan)) >= 0
        assert "root:" not in render(msg, plan).decode("latin-1")
    else:
        assert (plan.code, len(plan.text) < 1_000) == (550, True)


@pytest.mark.parametrize(
    "name", ["HTML bomb: tags never closed", "100,000 links in 5 MB", "19,000 links in 1 MB"]
)
def test_a_hostile_message_takes_a_bounded_multiple_of_its_size(name: str) -> None:
    msg = HOSTILE[name]()
    tracemalloc.start()
    process(msg, context("trackclicks", "trackopens", "inlinecss"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MEMORY_MOST
