"""Style sheets made to hurt whoever reads them: the work is linear in their size, counted in steps."""

from __future__ import annotations

from typing import Any

import pytest

from ..steps import World, assert_linear

# What begins, what is repeated, what ends.
SHEETS = {
    "rules": ("", "p.c{color:red}", ""),
    "selectors": ("", "p>b.c#i[a=b]:hover,", "x{color:red}"),
    "one long selector": ("", "p > ", "b{color:red}"),
    "compounds": ("p", ".c:first-child[a]", "{color:red}"),
    "declarations": ("p{", "color:red;margin:0!important;", "}"),
    "one property again and again": ("p{", "color:#{n};", "}"),
    "semicolons": ("", ";", "p{a:b}"),
    "semicolons after a comment": ("", "/**/;", "p{a:b}"),
    "braces": ("", "{}", "p{a:b}"),
    "ends without beginnings": ("", "}", "p{a:b}"),
    "beginnings without ends": ("", "@media{", ""),
    "brackets": ("p{a:", "(", ""),
    "brackets that fit nothing": ("p{a:", ")", "}"),
    "brackets of both kinds": ("p{a:", "([", ""),
    "custom properties": ("p{--x:", "{}", "}"),
    "nested rules": ("p{", "b:hover{a:b}c:d;", "}"),
    "comments": ("", "/**/", "p{a:b}"),
    "comments that never end": ("p{a:b}", "/*", ""),
    "strings": ("p{a:", "'x'\"y\"", "}"),
    "a long string": ("p{a:'", "\\'x", "'}"),
    "a string that never ends": ("p{a:'", "x", ""),
    "addresses": ("p{a:", "url( x ) ", "}"),
    "addresses that never end": ("p{a:", "url( ", ""),
    "escapes": ("", "\\70", "{a:b}"),
    "escapes in a property": ("p{", "\\61", ":b}"),
    "escapes in what is no property": ("p{", "\\61", "}"),
    "escapes in an attribute": ("p[", "\\61", "?]{a:b}"),
    "escapes in a value": ("p[a=", "\\61 ", "?]{a:b}"),
    "escapes with blanks": ("p{", "\\61 ", "}"),
    "letters in an attribute": ("p[", "a", "?]{a:b}"),
    "names": ("", "-", "{a:b}"),
    "combinators": ("p", " > ", "b{a:b}"),
    "blanks": ("p", " ", "b{a:b}"),
    "functions": ("p", ":not(.a)", "{a:b}"),
    "functions in functions": ("p", ":not(", ")"),
    "functions nobody knows": ("p", ":x(", "){a:b}"),
    "attributes that never end": ("", "[a", "{a:b}"),
    "exclamation marks": ("p{a:", "!important ", "}"),
    "at-rules": ("", "@x;", "p{a:b}"),
    "ends of comments in HTML": ("", "--> <!-- ", "p{a:b}"),
    "tags with a colon": ("", "v\\:x,", "p{a:b}"),
}
DOCUMENTS = {
    "elements": ("<style>p{a:b}</style>", "<p>", ""),
    "classes": ("<style>.c{a:b}</style><p class='", "c ", "'>"),
    "attributes": ("<style>[a]{a:b}</style><p ", "a=b ", ">"),
    "attributes of one name": ("<style>[title]{a:b}</style><p ", "title=x ", ">"),
    "values": ("<style>[title~=x]{a:b}</style><p title='", "x ", "'>"),
    "rules that stay": ("<style>p{a:b}", "@media print{p{a:c}}", "</style><p>"),
    "sheets": ("", "<style>p{a:b}</style>", "<p>"),
    "sheets with a title": ("", "<style title=x>p{a:b}</style>", "<p>"),
    "sheets not for Outlook": ("", "<!--[if !mso]><!--><style>p{a:b}</style><!--<![endif]-->", "<p>"),
    "beginnings of what is not for Outlook": (
        "<style>p{a:b}</style>",
        "<![if !mso]>",
        "<style>b{a:b}</style><p>",
    ),
    "templates": ("", "<template>", "<style>p{a:b}</style><p>"),
    "ends of templates": ("", "</template>", "<style>p{a:b}</style><p>"),
    "comments before a doctype": ("", "<!-- -->", "<!doctype html><style>p{a:b}</style><p>"),
    "conditional comments": ("<style>p{a:b}</style>", "<!--[if mso]><p><![endif]-->", ""),
    "own styles": ("<style>p{a:b!important}</style><p style='", "c:d;", "'>"),
    "brackets in an own style": ("<style>p{a:b!important}</style><p style='", "(", "'>"),
    "strings in an own style": ("<style>p{a:b!important}</style><p style='", '"" ', "'>"),
    "formatting": ("<style>p{a:b}</style>", "<b></b>", "<p>"),
    "texts": ("<style>p{a:b}</style>", "x < ", "<p>"),
}


@pytest.mark.parametrize("name", SHEETS)
def test_a_sheet_is_read_in_linear_time(world: World, name: str) -> None:
    begin, piece, end = SHEETS[name]
    book = world.load("gatepost_milter.css.book")
    failure = world.load("gatepost_milter.html.csstext").CssTextError

    def read(css: str) -> None:
        try:
            book.read((book.Source(css, ""),), quirks=True)
        except failure:
            return

    assert_linear(world, lambda size: begin + piece * size + end, read)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_prepared_and_styled_in_linear_time(world: World, name: str) -> None:
    begin, piece, end = DOCUMENTS[name]
    inlinecss = world.load("gatepost_milter.features.inlinecss")
    part = world.load("gatepost_milter.html.part").HtmlPart
    scan = world.load("gatepost_milter.html.scanner").scan
    failure = world.load("gatepost_milter.css.calculator").CalculatorError
    inlinecss._KEY_MOST = 0  # nothing is remembered

    def style(given: Any) -> None:
        try:
            inlinecss.inline(given)
        except failure:
            return

    def made(size: int) -> Any:
        html = begin + piece * size + end
        return part(html, "utf-8", scan(html))

    # Long attributes are not remembered: all of a series are long, or none.
    assert_linear(world, made, style, size=400 if "attributes" in name else 100)


def test_what_many_rules_say_of_an_element_is_decided_in_bounded_time(world: World) -> None:
    """Each declaration is held to those properties that stay, of which CSS has some hundreds."""
    cascade, book = world.load("gatepost_milter.css.cascade"), world.load("gatepost_milter.css.book")

    def entries(size: int) -> Any:
        css = "p{color:red;margin:0}" * size + "@media print{p{color:blue;padding:0}}" * size
        return book.read((book.Source(css, ""),), quirks=False).entries

    assert_linear(world, entries, lambda given: cascade.written(given, ""), size=50)
