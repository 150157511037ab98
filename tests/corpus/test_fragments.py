"""Documents on which tokenizers disagree: an HTML5 parser sees the same with the edits undone."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from selectolax.lexbor import LexborHTMLParser

from gatepost_core.domain import FeatureValue
from gatepost_milter.editing.headers import calls
from gatepost_milter.editing.message import Plan
from gatepost_milter.features.trackopens import pixel_tag
from gatepost_milter.pipeline import process
from tests.corpus.fragments import document
from tests.corpus.undoing import PIXEL, STYLE, comparable, context, undone
from tests.milter.making import html_message

# GATEPOST_FRAGMENTS=1000000 looks further.
COUNT = int(os.environ.get("GATEPOST_FRAGMENTS", "6000"))
SHARES = 6
FEATURES: tuple[dict[str, FeatureValue], ...] = (
    {"trackclicks": True, "trackopens": True, "preventscam": True, "inlinecss": True},
    {"trackclicks": True},
    {"trackopens": True},
    {"inlinecss": True},
)
Node = tuple[str, object]


def tree(html: str) -> list[Node]:
    """Return elements with their attributes, edits undone, and texts; those of white space alone left out."""
    root = LexborHTMLParser(html).root
    nodes: list[Node] = []
    for node in root.traverse(include_text=True) if root is not None else ():
        if node.tag != "-text":
            nodes.append((node.tag or "", {name: _value(name, v) for name, v in node.attributes.items()}))
            continue
        text = node.text()
        if nodes and nodes[-1][0] == "-text":
            text = str(nodes.pop()[1]) + text
        nodes.append(("-text", text))
    return [
        (tag, {name: value for name, value in what.items() if name != "style" or value})
        if isinstance(what, dict)
        else (tag, what)
        for tag, what in nodes
        if tag != "-text" or str(what).strip()
    ]


def _value(name: str, value: str | None) -> str:
    if name != "style":
        return comparable(undone(value or ""))
    left = STYLE.sub("", f' style="{value or ""}"')
    return left.removeprefix(' style="').removesuffix('"')


@pytest.mark.parametrize("share", range(SHARES))
def test_an_html5_parser_sees_the_same_document_with_the_edits_undone(share: int) -> None:
    edited = 0
    for number in range(share, COUNT, SHARES):
        html = document(number)
        ctx = replace(context(**FEATURES[number % len(FEATURES)]), pixel="")
        plan = process(html_message(html), ctx)
        assert isinstance(plan, Plan), (number, plan)
        assert plan.notes == (), (number, plan.notes)
        if plan.body is not None and not calls(plan.headers):
            edited += 1
            after = plan.body.decode()
            assert undone(after) == comparable(html), number
            assert tree(after) == tree(html), number
    assert edited > COUNT / SHARES / 5


@pytest.mark.parametrize("share", range(SHARES))
def test_a_1x1_image_is_an_image_to_an_html5_parser_wherever_it_is_put(share: int) -> None:
    put = 0
    for number in range(share, COUNT, SHARES):
        html = document(number)
        plan = process(html_message(html), context(trackopens=True))
        assert isinstance(plan, Plan)
        after = plan.body.decode() if plan.body is not None and not calls(plan.headers) else ""
        # In these no browser shows an image, which harms nobody.
        if PIXEL in after and not any(name in html.lower() for name in ("<frameset", "<template", "<select")):
            put += 1
            assert after.replace(pixel_tag(PIXEL), "") == html, number
            images = [node.attributes.get("src") for node in LexborHTMLParser(after).css("img")]
            assert images.count(PIXEL) == 1, number
    assert put > COUNT / SHARES / 10
