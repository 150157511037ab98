"""What a message's style sheets may cost is known beforehand, and bounded for all its parts together."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost_milter.css import selectors
from gatepost_milter.css.calculator import compute
from gatepost_milter.css.selectors import Numbering, Selector
from gatepost_milter.css.weight import AT_ONCE_MOST, STEPS_MOST, Allowance, Census, weigh
from gatepost_milter.editing.message import Message, Plan
from gatepost_milter.features import inlinecss
from gatepost_milter.html import opened
from gatepost_milter.html.nesting import measure
from gatepost_milter.pipeline import process
from gatepost_milter.surgery.context import Context

from .making import context, html_message, plan_of
from .searching import Search, elements
from .test_pipeline import multipart

_START = re.compile(r"<([a-z0-9]+)(?: class=\"([^\"]*)\")?")


def planned(message: Message, ctx: Context) -> Plan:
    plan = process(message, ctx)
    assert isinstance(plan, Plan)
    return plan


def numbered(html: str) -> str:
    numbers = iter(range(100_000))
    return re.sub(r"<([a-z][a-z0-9]*)", lambda found: f'<{found[1]} gp="{next(numbers)}"', html)


def census(html: str) -> Census:
    words = [(tag, *classes.split()) for tag, classes in _START.findall(html)]
    return Census(words, measure(html), html)


def read(texts: list[str]) -> list[Selector]:
    """Return selectors of tags and classes, whose names are then the numbers of tests."""
    tests = Numbering(quirks=False)
    for number in range(4):
        tests.number("class", f"t{number}")
    return [selectors.read(text, tests)[0] for text in texts]


def searched(html: str, text: str) -> tuple[int, list[int]]:
    search = Search(text)
    found = search.found(elements(html))
    return search.steps, found


COMPOUND = st.sampled_from(
    ["a", "b", "div", "p", "td", "tr", "tbody", "*", ".t0", ".t1", "b.t0", "div.t1", "p.t2.t3"]
)
SELECTOR = st.lists(st.tuples(COMPOUND, st.sampled_from(" >+~")), min_size=1, max_size=5).map(
    lambda pieces: "".join(compound + combinator for compound, combinator in pieces)[:-1]
)
PIECE = st.sampled_from(
    [
        "<div>",
        "</div>",
        "<p>",
        "</p>",
        "<b>",
        "</b>",
        '<div class="t1">',
        '<b class="t0">',
        '<p class="t2 t3">',
        "<table>",
        "<tr>",
        "<td>",
        "</td>",
        "</table>",
        "<a>",
        "</a>",
        "x",
        "<i>",
        "</i>",
        "<ul>",
        "<li>",
        "<br>",
    ]
)
DOCUMENT = st.lists(PIECE, max_size=60).map("".join)


@settings(max_examples=400, deadline=None)
@given(DOCUMENT, st.lists(SELECTOR, min_size=1, max_size=4))
def test_no_search_takes_more_steps_than_its_weight(html: str, texts: list[str]) -> None:
    found = [searched(html, text)[0] for text in texts]
    weights = [weigh([one], census(html)) - weigh([], census(html)) for one in read(texts)]
    assert all(steps <= weight for steps, weight in zip(found, weights, strict=True))
    assert sum(found) <= weigh(read(texts), census(html))


@settings(max_examples=200, deadline=None)
@given(DOCUMENT, SELECTOR)
def test_the_count_is_of_the_search_that_css_inline_does(html: str, text: str) -> None:
    """Otherwise the count says nothing about it."""
    numbers = numbered("<body>" + html)
    ours = {number for number in searched(numbers, text)[1] if number >= 0}
    theirs = {int(n) for n in re.findall(r' gp="(\d+)"[^>]* style="', compute(numbers, f"{text}{{g1:1}}"))}
    assert ours == theirs


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<b></b>" * 300 + "<p><i>", "i~b"),
        ("<b></b>" * 300 + "<p><i>", "i~b~b~b"),
        ("<b></b>" * 300 + "<p><i>", "i+b~b~b"),
        ("<div>" * 200 + "<b></b>" * 300, "i div div div b"),
        ("<div>" * 200 + "<b></b>" * 300, "i>div>div div>div b"),
        (("<a></a>" * 20 + "<div>") * 20 + "<b></b>" * 300, "i~a~div b"),
        (("<a></a>" * 20 + "<div>") * 20 + "<b></b>" * 300, "i a+a~div a~div b"),
        ("<table>" * 50 + "<td>" * 200, "i tr td"),
    ],
)
def test_searches_made_to_be_long_are_known_to_be(html: str, text: str) -> None:
    steps, _ = searched(html, text)
    assert 1_000 < steps <= weigh(read([text]), census(html)) - weigh([], census(html))


def never(html: str, css: str, steps: int) -> str:
    raise AssertionError(f"{steps} steps for {len(html)} and {len(css)} characters")


@pytest.mark.parametrize(
    "html",
    [
        "<style>" + "i ~ b{a:b}" * 15 + "</style><i></i>" + "<b></b>" * 9000,
        "<style>" + "b:not(.x) ~ b{a:b}" * 15 + "</style>" + "<b></b>" * 9000,
        "<style>" + "".join(f"p{{a{n}:b}}" for n in range(9000)) + "</style>" + "<p></p>" * 100,
        "<style>" + "div div div b{a:b}" * 500 + "</style>" + "<div>" * 900 + "<b></b>" * 9000,
        "<style>" + "*:nth-child(2n) *:nth-last-child(3n){a:b}" * 50 + "</style>" + "<p></p>" * 19_000,
        "<style>p{a:b}</style>" + "<div>" * 900 + "</p>" * 90_000,
        "<style>p{a:b}</style>" + "<b><i><u>" * 100 + "<p>x" * 1500 + "<section>" * 100,
        "<style>" + "*{a:b}" * 5000 + "</style>" + "<p></p>" * 5000,
        "<style>p ~ p{a:b}</style><!--[if mso]>" + "<p></p>" * 15_000 + "<![endif]-->",
    ],
)
def test_what_would_take_too_long_is_not_begun(html: str) -> None:
    ctx = replace(context("inlinecss"), calculate=never)
    plan = process(html_message(html), ctx)
    assert isinstance(plan, Plan)
    assert plan.body is None
    assert any(why in plan.skipped["inlinecss"] for why in ("too many", "left open"))


@pytest.mark.parametrize("css", ["p:has(~ i){color:red}", ":Has(~ i){color:red}", "p:is(i ~ p){color:red}"])
def test_pseudo_classes_that_search_on_their_own_are_not_asked_for(css: str) -> None:
    asked: list[str] = []

    def noted(html: str, sheet: str, steps: int) -> str:
        assert steps <= STEPS_MOST
        asked.append(sheet)
        return compute(html, sheet)

    ctx = replace(context("inlinecss"), calculate=noted)
    inlinecss._COMPUTED.clear()
    process(html_message("<style>" + css * 200 + "p{color:blue}</style>" + "<p></p>\n" * 100), ctx)
    assert asked
    assert not any(name in sheet.lower() for sheet in asked for name in ("has", "is(", "~"))


def costly(parts: int) -> Message:
    sheet = "<style>" + "i ~ b{{c{0}:d}}" * 2 + "</style><i></i>" + "<b></b>\n" * 800
    return multipart(*("Content-Type: text/html\n\n" + sheet.format(n) for n in range(parts)))


def test_several_parts_share_what_a_message_is_allowed() -> None:
    """One after another is calculated, until the message's steps are used up."""
    spent: list[int] = []

    def noted(html: str, sheet: str, steps: int) -> str:
        spent.append(steps)
        return compute(html, sheet)

    ctx = replace(context("inlinecss"), calculate=noted)
    inlinecss._COMPUTED.clear()
    opened._kept.clear()
    plan = planned(costly(8), ctx)
    assert 1 < len(spent) < 8
    assert sum(spent) <= STEPS_MOST
    assert "too many beside what is in other parts" in plan.skipped["inlinecss"]
    assert "inlinecss" in plan.applied


def test_another_attempt_at_a_message_calculates_nothing_anew() -> None:
    spent: list[int] = []

    def noted(html: str, sheet: str, steps: int) -> str:
        spent.append(steps)
        return compute(html, sheet)

    allowance = Allowance()
    ctx = replace(context("inlinecss"), calculate=noted, allowance=allowance)
    inlinecss._COMPUTED.clear()
    opened._kept.clear()
    first = planned(costly(8), ctx)
    count = len(spent)
    inlinecss._COMPUTED.clear()
    opened._kept.clear()
    assert planned(costly(8), ctx).skipped == first.skipped
    assert len(spent) == count


def test_the_frameworks_large_sheets_are_inlined_at_once() -> None:
    """Foundation for Emails: 767 rules, of which a message of 163 elements uses few."""
    css = "".join(f".c{n} table.t{n} td.x{n},.c{n}>p{{color:red;margin:{n}px}}" for n in range(767))
    row = "<table class=t{0}><tr><td class=x{0}><p class=c{0}>x</p></td></tr></table>\n"
    html = f"<style>{css}</style><div class=c3>" + "".join(row.format(n) for n in range(33)) + "</div>"
    spent: list[int] = []

    def noted(copy: str, sheet: str, steps: int) -> str:
        spent.append(steps)
        return compute(copy, sheet)

    ctx = replace(context("inlinecss"), calculate=noted)
    inlinecss._COMPUTED.clear()
    assert planned(html_message(html), ctx).applied == ("inlinecss",)
    assert spent[0] <= AT_ONCE_MOST


def test_a_message_over_its_allowance_is_told_why() -> None:
    plan = plan_of(html_message("<style>b ~ b{a:b}</style>" + "<b></b>" * 9000), "inlinecss")
    assert plan.skipped["inlinecss"] == "9001 elements times 1 rules are too many"
