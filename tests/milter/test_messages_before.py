"""What came before, of the same customer or another, changes no byte of a message, and fills no memory."""

from __future__ import annotations

import base64
import quopri
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gatepost_milter.editing.headers import Header
from gatepost_milter.editing.message import Message, Plan
from gatepost_milter.features import inlinecss
from gatepost_milter.html import opened
from gatepost_milter.html.opened import open_html
from gatepost_milter.pipeline import process
from tests.milter.making import context
from tests.steps import World, assert_linear

EVERY = ("inlinecss", "trackclicks", "trackopens", "preventscam")
SHEET = "<!DOCTYPE html><style>b{color:red}.X{margin:0}</style>"
LINK = '<a href="https://shop.example.org/%s">order</a>'


def forget() -> None:
    for kept in (opened._samples, opened._kept, inlinecss._COMPUTED, inlinecss._BOOKS):
        kept.clear()


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    forget()
    yield
    forget()


def letter(html: str, encoding: str = "8bit", charset: str = "utf-8") -> Message:
    raw = html.encode(charset)
    if encoding != "8bit":
        raw = (base64.encodebytes if encoding == "base64" else quopri.encodestring)(raw)
    headers = (
        Header(b"From", b" a@example.test"),
        Header(b"Content-Type", f" text/html; charset={charset}".encode()),
        Header(b"Content-Transfer-Encoding", f" {encoding}".encode()),
    )
    return Message(headers, raw.replace(b"\n", b"\r\n"))


def result(message: Message, owner: object) -> Plan:
    plan = process(message, replace(context(*EVERY), owner=owner))
    assert isinstance(plan, Plan)
    return replace(plan, seconds={})


def assert_as_alone(*messages: Message, owners: tuple[int, ...] = ()) -> None:
    """Fail if the last message becomes something else than it does with none before it."""
    plans = [result(each, owner) for each, owner in zip(messages, owners or [1] * len(messages), strict=True)]
    forget()
    assert plans[-1] == result(messages[-1], None)


def test_utf16_that_is_not_in_base64_stays_as_it_came_after_some_that_was() -> None:
    texts = [f"<p>Dear {name}, {LINK % name}</p>" for name in ("Bo", "Ana", "Zed")]
    codings = ("base64", "base64", "quoted-printable")
    assert_as_alone(*(letter(text, coding, "utf-16-le") for text, coding in zip(texts, codings, strict=True)))


def test_nul_in_a_name_makes_no_other_customers_elements_look_like_one() -> None:
    """A stranger's tag "p, NUL, <b" would stand for two tags of a newsletter that he has received."""
    theirs = letter(f"{SHEET}<p\0<b>x</b>", "base64")
    assert_as_alone(theirs, letter(f"{SHEET}<p><b>x</b>"), owners=(2, 1))


def test_a_byte_order_mark_in_place_of_a_name_leaves_the_doctype_first() -> None:
    assert_as_alone(*(letter(f'{name}{SHEET}<p class="x">{LINK % 1}') for name in ("Bo", "Ana", "\ufeff")))


def test_words_of_the_second_message_that_mean_something_are_not_those_of_the_third() -> None:
    """A word "style" before a blank is taken for an attribute without value: such a tag gets no style."""
    images = [f'{SHEET}<p>x<img class="X" alt="{word}">y' for word in ("one", "a style b", "two")]
    assert_as_alone(*map(letter, images))


def test_a_long_text_of_a_link_is_looked_at_anew_when_it_becomes_shorter() -> None:
    text = f'<p><a href="https://shop.example.org/">http://%s/{"c" * 3900}<b>/x.org</b></a></p>'
    assert_as_alone(*(letter(text % (sign * size)) for sign, size in (("a", 100), ("b", 101), ("d", 1))))


def test_a_long_rule_that_applies_to_all_elements_is_not_kept_for_each() -> None:
    text = f"<style>p{{background:#fff url(x{'y' * 20_000})}}</style>" + "<p>a" * 1000
    plan = result(letter(text), 1)
    assert plan.body is not None
    assert len(plan.body) > 20_000_000
    part = open_html("8bit", "utf-8", text.encode(), 1).html
    assert result(letter(text), 1) == plan, "it is the same the second time"
    assert inlinecss.inline not in part.derived


@pytest.mark.parametrize(
    "page", ["<!--[if mso]>" + "<a>" * 5000 + "<![endif]-->", "<!--[if a]><b><![endif]-->" * 2000]
)
def test_pages_with_thousands_of_tags_in_conditional_comments_are_not_kept(page: str) -> None:
    """Their scans take many times their size, and a dozen are kept."""
    result(letter(page), 1)
    assert (len(opened._samples), len(opened._kept)) == (0, 0)


def test_a_link_with_many_slots_is_looked_at_once(world: World) -> None:
    """Each slot would otherwise have the link's whole text read."""
    read = world.load("gatepost_milter.html.opened").open_html
    links_of = world.load("gatepost_milter.features.links")

    def texts(size: int) -> list[bytes]:
        inner = "<b>%s</b>" * size
        return [
            f'<p><a href="https://shop.example.org/">{inner % ((word,) * size)}</a>'.encode()
            for word in ("aa", "bb", "cc")
        ]

    def all_of(texts: list[bytes]) -> None:
        for text in texts:
            read("8bit", "utf-8", text, 1).html.once(links_of.showing_url)

    assert_linear(world, texts, all_of, size=60)
