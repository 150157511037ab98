"""The scanner finds tags where they are, whatever surrounds them, and in linear time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_milter.html.attributes import Finder, decode
from gatepost_milter.html.nesting import measure
from gatepost_milter.html.scanner import Scan, scan
from tests.milter.making import html_message, plan_of

HREF = Finder("href")


def hrefs(text: str) -> list[str]:
    found = [HREF(tag[2]) for tag in scan(text).tags if tag[1] == "a"]
    return [value.raw for value in found if value]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<a href=x>", ["x"]),
        ("<A HREF = 'x y' >", ["x y"]),
        ('<a title=">" href="x">', ["x"]),
        ("<a/href=x/y>", ["x/y"]),
        ("<a href=x href=y>", ["x"]),
        ("<a data-href=y href=x>", ["x"]),
        ('<a title="href=y" href=x>', ["x"]),
        ('<a title=a"b href=x>', ["x"]),
        ("<a href>", []),
        ("<a href=>", []),
        ("<!-- <a href=x> --><a href=y>", ["y"]),
        ("<!--><a href=x>-->", ["x"]),
        ("<!-- a --!><a href=x>", ["x"]),
        ("<!-- <a href=x>", []),
        ("<![if !mso]><a href=x><![endif]>", ["x"]),
        ("<!--[if !mso]><!--><a href=x><!--<![endif]-->", ["x"]),
        ("<?php <a href=x> ?>", []),
        ("<script>'<a href=x>'</script><a href=y>", ["y"]),
        ("<SCRIPT>'</scripty><a href=x>'</Script ><a href=y>", ["y"]),
        ("<title><a href=x></title><textarea><a href=x></textarea><a href=y>", ["y"]),
        ("<style>a{}<a href=x>", []),
        ("<plaintext><a href=x></plaintext><a href=x>", []),
        ("a < b <a href=x>", ["x"]),
        ("</p title='<a href=x>'><a href=y>", ["y"]),
        ('<a href="x><a href=y>', []),
        ("<p <a href=x><a href=y>", ["y"]),
    ],
)
def test_tags_and_values_are_found_as_html5_reads_them(text: str, expected: list[str]) -> None:
    assert hrefs(text) == expected


def test_conditional_comments_are_scanned_with_offsets_of_the_whole_text() -> None:
    text = "<p>é<!--[if mso]><a href=x><![endif]--><b>"
    outer = scan(text)
    assert [tag[1] for tag in outer.tags] == ["p", "b"]
    inner = outer.conditionals[0].scan
    assert [text[tag[0] :][:4] for tag in inner.tags] == ["<a h"]


@pytest.mark.parametrize(
    ("raw", "meaning"),
    [
        ("?a=1&copy=3", "?a=1&copy=3"),
        ("?a=1&amp;b=2", "?a=1&b=2"),
        ("&copy;&copy &copyx&copy", "©© &copyx©"),
        ("&#x26;&#38;&#128;&#0;&#99999999999;", "&&€\ufffd\ufffd"),
        ("&amp;copy;", "&copy;"),
        ("&nosuch;&", "&nosuch;&"),
    ],
)
def test_references_in_attributes_are_decoded_by_the_rules_for_attributes(raw: str, meaning: str) -> None:
    assert decode(raw) == meaning


def check(text: str, found: Scan) -> None:
    for start, name, attributes, _ in found.tags:
        assert text[start] == "<"
        assert text[start + 1 :].lower().startswith(name)
        assert text[start + 1 + len(name) :].startswith(attributes + ">")
    for conditional in found.conditionals:
        check(text, conditional.scan)


PIECES = st.sampled_from(
    [
        "<a ",
        "href=",
        '"',
        "'",
        ">",
        "<",
        "</a>",
        "<!--",
        "-->",
        "<!--[if mso]>",
        "<![endif]",
        "x",
        "é",
        " ",
        "/",
        "=",
        "<style>",
        "</style>",
        "<script",
        "</script>",
        "<p>",
        "--",
        "!",
        "?",
        "\n",
        "<title>",
        "<plaintext>",
    ]
)


@given(st.lists(PIECES, max_size=30).map("".join))
def test_offsets_point_at_the_tags_in_any_text(text: str) -> None:
    check(text, scan(text))


@pytest.mark.parametrize(
    "piece",
    [
        "<",
        "<a b='",
        "<a b=\"'",
        "<!--",
        "<a ",
        "<a b",
        "<style>",
        "</",
        "<!--[if",
        "<a =",
        "<!-",
        "-",
        "<a b=c>",
        "<a/",
        "<!--[if a]>",
        "<p>",
        "</p x='",
        "<?",
        "<script><!--",
        "&",
        '<a b="c"',
    ],
)
@pytest.mark.timeout(120)
def test_hostile_text_is_scanned_in_linear_time(piece: str) -> None:
    """Two million characters take a second or two; were it quadratic, hours, and the time-out would tell."""
    size = 2_000_000
    assert scan((piece * size)[:size]) is not None


@pytest.mark.parametrize(
    "piece",
    ["<div>", "<div></x>", "<div><table></div></table>", "<b><li></b><i><dd></i>", "<svg><td>", "<p><b>"],
)
def test_nesting_that_never_closes_is_seen(piece: str) -> None:
    assert measure(piece * 2000).fault


@pytest.mark.parametrize(
    "piece", ["<p>a", "<ul><li>a<li>b</ul>", "<table><tr><td>x<td>y</table>", "<b>x</b><br>"]
)
def test_end_tags_that_may_be_left_out_do_not_count_as_nesting(piece: str) -> None:
    assert measure(piece * 2000).fault == ""


@pytest.mark.parametrize(
    ("html", "edited_at_all"),
    [
        ("<svg><![CDATA[<a href='https://x.test/'>]]></svg>", False),
        ("<svg><style><a href='https://x.test/'></style></svg><a href='https://x.test/'>x</a>", False),
        ("<svg><title>a</title><style>b</style></svg><a href='https://x.test/'>x</a>", True),
        ("<style><!-- --></style><svg></svg><a href='https://x.test/'>x</a>", True),
    ],
)
def test_svg_that_only_a_parser_can_tell_from_text_is_left_alone(html: str, edited_at_all: bool) -> None:
    plan = plan_of(html_message(html), "trackclicks")
    assert (plan.body is not None) is edited_at_all
    reason = "the HTML body holds SVG or MathML that is read in two ways"
    assert plan.skipped.get("trackclicks") == (None if edited_at_all else reason)
