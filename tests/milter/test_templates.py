"""Messages of one template: each is edited as if it were the only one, and most are not read from scratch."""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gatepost_bench.letters import Encoding, Mailing
from gatepost_milter.css.calculator import CalculatorError
from gatepost_milter.editing.edits import Edit
from gatepost_milter.features.inlinecss import inline
from gatepost_milter.features.links import links, showing_url
from gatepost_milter.features.trackopens import common_images, some_images
from gatepost_milter.html import opened
from gatepost_milter.html.opened import open_html
from gatepost_milter.html.part import HtmlPart
from gatepost_milter.html.samples import OWN_MOST, SAMPLES_MOST, Samples
from gatepost_milter.html.scanner import scan
from gatepost_milter.parts.transfer import TransferError
from gatepost_milter.pipeline import process
from tests.corpus.fragments import document
from tests.corpus.letters import html_of
from tests.milter.making import MESSAGES, context, message
from tests.steps import World, assert_linear

EVERY = ("inlinecss", "trackclicks", "trackopens", "preventscam")
PAGE = (
    "<!DOCTYPE html><style>a{{color:red}}p.x{{margin:0}}</style><title>For {name}</title>"
    '<p class="x">Dear {name}, <a href="https://shop.example.org/{path}?r={reader}&amp;l=1">your {thing}</a>'
    '<img src="https://img.example.org/{reader}.png" alt="{thing}">{thing}</p>'
)
# What may come where another word stood: names and numbers, and what would be something else there.
PLAIN = ("Noor", "Zoë", "8c1d", "x", "Marie Claire", "12345678", "łódź", "q" * 100)
NASTY = (
    "", " ", " x", "x ", "<b>", "a<b", '"', "'", ">", "&", "&amp;", "&copy", "copy=1", "style", "style=",
    "/../", ".", "..", "/.", "%2e%2e", "%recipient%", "{{name}}", "#", "#x", "?", "=", ";", "\n", "\t", "\\",
    "https://other.example.org/", "javascript:", "cid:one@letter", "www.example.org", "-->", "<!--", "</a>",
    "-----BEGIN PGP", "\N{NO-BREAK SPACE}", "\u200b", "url(x)", "class", "x" * 1100, "amp", "amp;",
    "STYLE", "a.b/c%20d", "reader%40example.org", "a=b", "tyle", "yle",
)  # fmt: skip


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    opened._samples.clear()
    opened._kept.clear()
    yield
    opened._samples.clear()


def open_fresh(text: str) -> HtmlPart:
    return HtmlPart(text, "utf-8", scan(text), utf8=True)


def derived(part: HtmlPart) -> tuple[object, ...]:
    """Return all that features find in a part."""
    try:
        styles: list[Edit[str]] | str = inline(part).edits
    except CalculatorError as error:
        styles = str(error)
    found = [list(part.once(each)) for each in (links, common_images, some_images)]
    return (*found, set(part.once(showing_url)), styles)


def varied(r: random.Random, text: str) -> Iterator[str]:
    """Yield texts in which other words stand in a few places, wherever these are."""
    words = [match.span() for match in re.finditer(r"[\w-]{2,}", text)]
    places = sorted(r.sample(words, min(len(words), r.choice((1, 1, 2, 5)))))
    for number in range(12):
        values = PLAIN if number < 3 or r.random() < 0.4 else NASTY
        pieces: list[str] = []
        end = 0
        for start, stop in places:
            pieces += (text[end:start], r.choice(values))
            end = stop
        yield "".join(pieces) + text[end:]


def check(r: random.Random, text: str) -> int:
    """Compare what is found with what is found in the same text alone; return how many were like others."""
    like = 0
    for one in varied(r, text):
        try:
            part = open_html("8bit", "utf-8", one.encode(), 1).html
        except TransferError:
            continue
        like += part.sample is not None
        assert derived(part) == derived(open_fresh(one)), one
    return like


@pytest.mark.parametrize("share", range(4))
def test_what_is_found_in_a_text_never_depends_on_those_before(share: int) -> None:
    """Other words in any place of a document, nasty ones too."""
    r = random.Random(share)  # noqa: S311  # no secret is made here
    texts = [document(number) for number in range(share, 400, 4)]
    texts += [html_of(number) for number in range(share, 48, 4)]
    assert sum(check(r, text) for text in texts) > 20, "so many were read as those before"


@pytest.mark.parametrize("seed", range(40))
def test_in_each_place_of_a_page_other_words_are_read_as_they_are(seed: int) -> None:
    r = random.Random(seed)  # noqa: S311  # no secret is made here
    for number in range(20):
        values = PLAIN if number < 4 or r.random() < 0.5 else NASTY
        text = PAGE.format(**{name: r.choice(values) for name in ("name", "path", "reader", "thing")})
        try:
            part = open_html("8bit", "utf-8", text.encode(), 1).html
        except TransferError:
            continue
        assert derived(part) == derived(open_fresh(text)), text


def test_a_link_that_is_followed_only_now_is_looked_at_for_a_url_in_its_text() -> None:
    """preventscam: the template was learned from messages in which the address led nowhere."""
    page = '<p>Dear reader, <a href="{}">www.shop.example.org</a>'
    for address in ("alpha", "beta", "gamma"):
        open_html("8bit", "utf-8", page.format(address).encode(), 1)
    part = open_html("8bit", "utf-8", page.format("https://shop.example.org/x").encode(), 1).html
    assert part.sample is not None
    assert derived(part) == derived(open_fresh(part.text))
    assert len(part.once(showing_url)) == 1


def tokens(scheme: str, authority: str, path_and_query: str) -> str:
    """Stand in for the token library: another token for each address."""
    return f"https://click.example.test/{zlib.crc32(f'{scheme}{authority}{path_and_query}'.encode()):08x}"


@pytest.mark.parametrize("encoding", ["quoted-printable", "base64"])
def test_each_letter_of_a_mailing_is_edited_as_if_it_were_the_only_one(encoding: Encoding) -> None:
    plain = replace(context(*EVERY), click=tokens, opens=tokens)
    like = 0
    for number in range(0, 60, 3):
        letter = message(Mailing(encoding).letter(number))
        ours = process(letter, replace(plain, owner=1))
        like += open_html(encoding, "utf-8", letter.body, 1).html.sample is not None
        assert ours.body is not None  # type: ignore[union-attr]
        opened._kept.clear()
        assert ours.body == process(letter, plain).body  # type: ignore[union-attr]
        opened._kept.clear()
    assert like == 18, "all but the first two"


def test_a_newsletter_in_another_name_is_read_as_the_one_before() -> None:
    raw = (MESSAGES / "newsletter.eml").read_bytes()
    found = []
    for name in (b"Noor", b"Alexander", b"Bo"):
        letter = message(raw.replace(b"Noor", name).replace(b"8c1d", name[:2] + b"00"))
        plan = process(letter, replace(context(*EVERY), owner=1))
        opened._kept.clear()
        assert plan.body == process(letter, context(*EVERY)).body  # type: ignore[union-attr]
        found.append(plan)
    assert len(opened._samples) == 1


def page(**values: str) -> str:
    words = {"name": "Noor", "path": "tea", "reader": "8c1d", "thing": "order", **values}
    return PAGE.format(**words)


def like(owner: object, text: str) -> bool:
    return open_html("8bit", "utf-8", text.encode(), owner).html.sample is not None


def test_what_one_customer_sends_is_no_template_for_another() -> None:
    """The same mailing of two credentials: each learns for itself."""
    for owner in (1, 2):
        assert [like(owner, page(name=f"{owner}{name}")) for name in "abc"] == [False, False, True]
    assert not like(None, page(name="d"))


def test_a_few_templates_are_kept_and_none_but_its_own_of_one_customer() -> None:
    samples = Samples()
    samples.learn(1, "utf-8", open_fresh(page()))
    for number in range(50):
        samples.learn(2, "utf-8", open_fresh(page() + "<br>" * number))
    assert len(samples) == 1 + OWN_MOST < SAMPLES_MOST
    for number in range(50):
        samples.learn(number, "utf-8", open_fresh(page()))
    assert len(samples) == SAMPLES_MOST


def test_a_slot_grows_with_what_the_next_reader_has_there() -> None:
    """A name, two names, and an address that was the same for the first two readers."""
    assert not like(1, page(name="Bo"))
    assert not like(1, page(name="Marie Claire"))
    assert like(1, page(name="Jan van Dam"))
    assert not like(1, page(name="Bo", reader="9999"))
    assert like(1, page(name="Ana", reader="7777"))


def test_a_button_for_outlook_has_the_reader_s_own_link_too() -> None:
    button = (
        '<!--[if mso]><v:rect href="https://shop.example.org/{0}" fillcolor="red"><b>go</b></v:rect>'
        "<![endif]-->"
        '<!--[if !mso]><!--><a href="https://shop.example.org/{0}">go</a><!--<![endif]-->'
    )
    texts = [page() + button.format(reader) for reader in ("8c1d", "9e2f", "77aa", "q/../q", "%40", '"')]
    assert [like(1, text) for text in texts] == [False, False, True, True, True, False]
    for text in texts:
        part = open_html("8bit", "utf-8", text.encode(), 1).html
        assert derived(part) == derived(open_fresh(text))


def test_a_link_with_an_address_of_the_reader_s_is_read_without_all_of_the_page() -> None:
    """Dots and escapes ask for another look at the link, and for nothing else."""
    readers = [f"{name}%40example.org" for name in ("ann.lee", "bo.x", "zoe.y")]
    pages = [page(reader=reader) for reader in readers]
    parts = [open_html("8bit", "utf-8", text.encode(), 1).html for text in pages]
    assert list(map(derived, parts)) == [derived(open_fresh(text)) for text in pages]
    assert parts[-1].sample is not None
    assert parts[-1]._scan is None


@pytest.mark.parametrize("where", ["name", "path", "reader", "thing"])
def test_reading_by_a_template_is_linear_in_whatever_stands_in_its_slots(world: World, where: str) -> None:
    read = world.load("gatepost_milter.html.opened").open_html
    links_of = world.load("gatepost_milter.features.links")

    def texts(size: int) -> list[bytes]:
        values = ("aaaa", "bb", "a<" * (size // 2), "/ " * (size // 2), "&" * size, "q")
        return [page(**{where: value}).encode() for value in values]

    def all_of(texts: list[bytes]) -> None:
        for text in texts:
            part = read("8bit", "utf-8", text, 1).html
            part.once(links_of.showing_url)

    assert_linear(world, texts, all_of, size=1100)  # longer than what may stand in a slot


def test_many_slots_are_found_and_filled_in_linear_time(world: World) -> None:
    read = world.load("gatepost_milter.html.opened").open_html
    links_of = world.load("gatepost_milter.features.links").links

    def texts(size: int) -> list[bytes]:
        card = (
            '<p>Dear %s<a href="https://shop.example.org/%s">x</a>'
            '<!--[if mso]><v:rect href="https://shop.example.org/%s"><![endif]-->'
        )
        return [(card % (value, value, value) * size).encode() for value in ("aa", "bb", "cc", "dd", "ee")]

    def all_of(texts: list[bytes]) -> None:
        for text in texts:
            read("8bit", "utf-8", text, 1).html.once(links_of)

    assert_linear(world, texts, all_of, size=60)
