"""inlinecss computes once for messages of one template: what is remembered is what would be computed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost_milter.css import attributes
from gatepost_milter.css import book as books
from gatepost_milter.css.book import Source
from gatepost_milter.features import inlinecss
from gatepost_milter.html import opened
from gatepost_milter.html.part import HtmlPart
from gatepost_milter.html.scanner import scan
from gatepost_milter.pipeline import process

from .making import context, html_message

SHEETS = st.sampled_from(
    [
        "p{a:b}.c{d:e}",
        "p:empty{a:b}p:first-child{d:e}",
        "[title]{a:b}",
        "[href^='https']{a:b}",
        '[data-x="1"]{a:b}',
        "a:link{a:b}",
        "div p + p{a:b}",
        "#i{a:b}.c.d{e:f}",
        "[x-apple-data-detectors]{a:b} p{c:d}",
        "[class~=c]{a:b}",
        "[ns|x]{a:b}",
        "\\70{a:b}",
        "p:nth-child(2){a:b}",
        "p{a:b !important}",
    ]
)
PIECES = st.lists(
    st.sampled_from(
        [
            "<p>",
            "</p>",
            "<p class=c>",
            "<p class='c d' id=i>",
            "<P CLASS=C>",
            "<a href='https://a.test/'>",
            "<a href='http://b.test/'>",
            "</a>",
            "<a name=x>",
            "<div title='a>b'>",
            "<div data-x=1>",
            "<div data-x=''>",
            "<div x-apple-data-detectors>",
            "</div>",
            "text",
            "other text",
            " ",
            "\r\n",
            "&nbsp;",
            "<!-- c -->",
            "<!--[if mso]><p class=c>x</p><![endif]-->",
            "<!--[if mso]><style>p{m:n}</style><p>y<![endif]-->",
            "<p style='x:y'>",
            "<br>",
            "<script>p</script>",
        ]
    ),
    max_size=14,
).map("".join)


def forget() -> None:
    inlinecss._COMPUTED.clear()
    inlinecss._BOOKS.clear()
    attributes.edits.cache_clear()


def styled(html: str) -> list[tuple[int, int, str]]:
    return inlinecss.inline(HtmlPart(html, "utf-8", scan(html))).edits


@settings(max_examples=300)
@given(SHEETS, st.lists(PIECES, min_size=2, max_size=6))
def test_what_is_remembered_is_what_would_be_computed(css: str, bodies: list[str]) -> None:
    pages = [f"<style>{css}</style>{body}" for body in bodies]
    forget()
    remembered = [styled(page) for page in [*pages, *pages]][len(pages) :]
    computed = []
    for page in pages:
        forget()
        computed.append(styled(page))
    assert remembered == computed


def test_other_texts_and_links_are_one_template() -> None:
    forget()
    for number in range(50):
        assert styled(
            f"<style>p.c{{a:b}}</style><a href='https://x.test/{number}'>Dear {number}</a><p class=c>{number}"
        )
    assert len(inlinecss._COMPUTED) == 1


@pytest.mark.parametrize(
    ("css", "one", "two"),
    [
        ("[title=x]{a:b}", "<p title=x>", "<p title=y>"),
        ("p:empty{a:b}", "<p></p>", "<p>x</p>"),
        ("a:link{a:b}", "<a href=x>", "<a name=x>"),
        ("[lang|=en]{a:b}", "<p lang=en>", "<p lang=nl>"),
        (".C{a:b}", "<!doctype html><p class=C>", "<!doctype html><p class=c>"),
        (".c{a:b}", "<p class=C>", "<!doctype html><p class=C>"),
    ],
)
def test_what_a_selector_tells_apart_is_not_mixed_up(css: str, one: str, two: str) -> None:
    forget()
    assert styled(f"{one}<style>{css}</style>")
    assert not styled(f"{two}<style>{css}</style>")


def test_what_is_remembered_stays_small() -> None:
    forget()
    opened._kept.clear()
    for number in range(200):
        html = f"<style>p{{a{number}:b}}</style>" + f"<p title='{number}'>{number}</p>" * 100
        inlinecss.inline(opened.open_html("8bit", "utf-8", html.encode()).html)
    assert len(inlinecss._COMPUTED) <= 32
    assert len(opened._kept) <= 4
    assert len(inlinecss._BOOKS) <= 8
    view = books.read((Source("p[title]{a:b}", ""),), quirks=False).view
    for number in range(20_000):
        view.kept("p", f" title='{number}'")
    assert sum(map(len, view._known)) < 300_000


def test_large_sheets_are_not_all_remembered() -> None:
    forget()
    for number in range(8):
        css = "".join(f".c{number}-{n}{{a:b}}" for n in range(3000))
        inlinecss.inline(opened.open_html("8bit", "utf-8", f"<style>{css}</style><p>".encode()).html)
    assert len(inlinecss._BOOKS) == 2


def test_many_threads_get_the_same() -> None:
    forget()
    pages = [f"<style>p.c{{a{n % 5}:b}}</style><p class=c>{n}" * 3 for n in range(40)]
    expected = [styled(page) for page in pages]
    forget()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(styled, pages)) == expected


def test_a_part_that_was_read_lately_is_not_read_again() -> None:
    raw = b"<p>x</p>" * 10
    assert opened.open_html("", "utf-8", raw) is opened.open_html("", "utf-8", b"".join([raw]))
    assert opened.open_html("", "utf-8", raw) is not opened.open_html("", "cp1252", raw)
    large = b"<p>" * 30_000
    assert opened.open_html("", "utf-8", large) is not opened.open_html("", "utf-8", large)


@given(SHEETS, st.lists(PIECES, min_size=1, max_size=3), st.sampled_from(["8bit", "quoted-printable"]))
def test_a_part_that_was_read_lately_gets_the_same_edits_as_one_that_was_not(
    css: str, bodies: list[str], encoding: str
) -> None:
    """With other features in between, whose edits stand elsewhere."""
    messages = [html_message(f"<style>{css}</style>{body}".replace("=", "=3D"), encoding) for body in bodies]
    asked = [context("trackclicks"), context("inlinecss", "trackclicks", "trackopens"), context("trackopens")]
    forget()
    opened._kept.clear()
    warm = [process(msg, ctx) for ctx in asked + asked for msg in messages]
    cold = []
    for ctx in asked + asked:
        for msg in messages:
            opened._kept.clear()
            cold.append(process(msg, ctx))
    assert [getattr(plan, "body", plan) for plan in warm] == [getattr(plan, "body", plan) for plan in cold]
