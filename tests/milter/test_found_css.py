"""Mail of other people's on which copying styles changed what readers see: each the smallest of its kind."""

from __future__ import annotations

import pytest

from .making import MESSAGES, edited, html_message, message, plan_of


def found(name: str) -> tuple[bytes, str]:
    """Return a message's body as it came, and as inlinecss leaves it."""
    msg = message((MESSAGES / "found" / f"{name}.eml").read_bytes())
    plan = plan_of(msg, "inlinecss")
    return msg.body, (msg.body if plan.body is None else plan.body).decode("latin-1")


@pytest.mark.parametrize(
    "name",
    [
        "01-jp-no-charset",  # Japanese characters in ISO-2022-JP look like tags in ASCII
        "01b-jp-us-ascii",
        "04-rules-left-in-block",  # a hover, a media query and :is() would lose to attributes
        "05-style-media-attribute",  # what is hidden in print would be hidden on screen
        "08-nested-body",  # a new style of the first body would undo the second one's
        "10-unclosed-paren",  # an open bracket would swallow the element's own style
        "11-mso-style-blocks",  # what is not for Outlook would reach it
        "13-invalid-selector",  # browsers drop the whole rule
    ],
)
def test_what_would_look_different_with_styles_copied_is_left_alone(name: str) -> None:
    body, after = found(name)
    assert after == body.decode("latin-1")


@pytest.mark.parametrize("charset", ["", "; charset=us-ascii", "; charset=iso-8859-1", "; charset=utf-8"])
@pytest.mark.parametrize("feature", ["inlinecss", "trackclicks"])
def test_japanese_text_under_another_label_is_not_taken_for_tags(charset: str, feature: str) -> None:
    html = b"<style>b{color:red}</style>\x1b$B<b>\x1b(B<a href='https://x.test/'>x</a><b>"
    msg = message(b"From: a@b\nContent-Type: text/html" + charset.encode() + b"\n\n" + html)
    plan = plan_of(msg, feature)
    assert plan.body is None
    assert "ISO-2022" in plan.skipped[feature]


def test_japanese_text_that_says_so_is_edited() -> None:
    html = "<style>b{color:red}</style>日本<b>語</b>".encode("iso-2022-jp")
    msg = message(b"From: a@b\nContent-Type: text/html; charset=iso-2022-jp\n\n" + html)
    body = plan_of(msg, "inlinecss").body
    assert body is not None
    assert '日本<b style="color: red">語</b>' in body.decode("iso-2022-jp")


def test_what_is_important_is_copied_without_saying_so_and_behind_the_elements_own() -> None:
    """Then a media query with !important still wins, and without sheets so does the rule."""
    assert '<div style="width: 300px" class="b">' in found("03-important-media")[1]
    html = "<style>p{width:1px!important;color:red}</style>"
    assert edited(f"{html}<p style='width:5px'>", "inlinecss") == (
        f"{html}<p style='color: red;width:5px;width: 1px'>"
    )


@pytest.mark.parametrize("own", ["width:calc(1px", 'font-family:"x', "width:1px/* x", "content:'\\'"])
def test_an_own_style_left_open_does_not_swallow_what_would_follow(own: str) -> None:
    quote = "'" if '"' in own else '"'
    html = f"<style>p{{margin:0!important}}</style><p style={quote}{own}{quote}>"
    assert edited(html, "inlinecss") == html


def test_without_a_doctype_classes_match_in_any_case() -> None:
    assert '<p style="color: blue" class="Foo">' in found("20-quirks-case")[1]
    html = "<!DOCTYPE html><style>.Foo{color:red}.foo{color:blue}#X{a:b}</style><p class=Foo><p id=x>"
    assert edited(html, "inlinecss") == html.replace("<p class", '<p style="color: red" class')


@pytest.mark.parametrize(
    ("doctype", "quirks"),
    [
        ("<!DOCTYPE html>", False),
        ("<!-- x --> <!doctype HTML SYSTEM 'about:legacy-compat'>", False),
        ('<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/x.dtd">', False),
        ('<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN">', False),
        ('<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01 Transitional//EN" "http://www.w3.org/x.dtd">', False),
        ('<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01 Transitional//EN">', True),
        ('<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">', True),
        ("x<!DOCTYPE html>", True),
        ("<!DOCTYPE xhtml>", True),
        ("", True),
    ],
)
def test_the_doctype_says_whether_case_matters(doctype: str, quirks: bool) -> None:
    html = f"{doctype}<style>.a{{color:red}}</style><p class=A>"
    assert (edited(html, "inlinecss") != html) == quirks


@pytest.mark.parametrize(
    ("css", "after"),
    [
        ("a{color:red;margin:0}a:hover{color:blue}", "margin: 0"),
        ("a{color:red}@media print{a{color:blue}}", ""),
        ("@media print{a{color:blue}}a{color:red}", "color: red"),
        ("@media print{a{color:blue}}.c{color:red}", "color: red"),
        ("a{color:red}@media print{b{color:blue}}", "color: red"),
        ("a{color:red}@media print{a{color:blue!important}}", "color: red"),
        ("a{color:red!important}@media print{a{color:blue}}", "color: red"),
        ("a{margin:0;padding:0}@media print{.c{margin-left:1px}}", "padding: 0"),
        ("a{margin-left:0;margin-top:1px}@media print{.c{margin-left:1px}}", "margin-top: 1px"),
        # What is left to the block must not be hidden by something weaker.
        ("a{margin-top:0}.c{margin:1px}@media print{.c{margin-left:2px}}", ""),
        ("a{color:red}@supports (x:y){a{color:blue}}", ""),
        ("@layer l{a{color:blue}}a{color:red}", ""),
        ("a{color:red}a:is(.c,.d){color:blue}", ""),
        ("a{color:red}a:has(b){color:blue}", ""),
        ("a{color:red}div{b{x:y}& a{color:blue}}", ""),
        ("a{color:red}a::before{color:blue}", "color: red"),
        ("a{color:red}a:hover{color:red}", "color: red"),
        ("a,a:link,a:visited{color:red}", "color: red"),
        ("a{color:red}@keyframes k{from{color:blue}}@font-face{color:blue}", "color: red"),
        ("a{color:red}@media print{.other{color:blue}}", "color: red"),
        ("a{color:red}@media print{.other a{color:blue}}", "color: red"),
        ("a{color:red}@media print{.c{all:unset}}", ""),
        ("a{font-size:1px}@media print{a{font-family:x}}", "font-size: 1px"),
        ("a{line-height:1px}@media print{a{font:x}}", ""),
    ],
)
def test_a_rule_that_stays_in_its_block_still_wins(css: str, after: str) -> None:
    html = f"<!DOCTYPE html><style>{css}</style><a href=# class=c>"
    style = f' style="{after}"' if after else ""
    assert edited(html, "inlinecss") == html.replace("<a href", f"<a{style} href")


@pytest.mark.parametrize("attributes", ["", " media", " media=''", " media=ALL", " type=text/css"])
def test_a_sheet_for_all_media_is_copied(attributes: str) -> None:
    assert "style=" in edited(f"<style{attributes}>p{{color:red}}</style><p>", "inlinecss")


@pytest.mark.parametrize(
    "sheet",
    [
        "<style media=screen>p{color:blue}</style>",
        "<style title=a>b{c:d}</style><style title=b>p{color:blue}</style>",
        "<!--[if !mso]><!--><style>p{color:blue}</style><!--<![endif]-->",
        "<!--[if !mso]>--><style>p{color:blue}</style><![endif]-->",
        "<![if !mso]><style>p{color:blue}</style><![endif]>",
        "<!--[if mso]><style>p{color:blue}</style><![endif]-->",
    ],
)
def test_a_sheet_for_some_is_not_copied_and_wins_where_it_holds(sheet: str) -> None:
    html = f"<!DOCTYPE html><style>p{{color:red;margin:0}}</style>{sheet}<p>"
    assert edited(html, "inlinecss") == html.replace("<p>", '<p style="margin: 0">')


def test_after_the_end_of_what_is_not_for_outlook_sheets_are_copied_again() -> None:
    html = "<!--[if !mso]><!--><b></b><!--<![endif]--><style>p{color:red}</style><p>"
    assert edited(html, "inlinecss") == html.replace("<p>", '<p style="color: red">')


def test_outlooks_elements_get_the_styles_of_outlooks_sheets() -> None:
    sheet = "<!--[if mso]><style>p{a:b}</style><![endif]-->"
    html = f"{sheet}<!--[if gte mso 9]><p><![endif]--><!--[if MSO]><p><![endif]-->"
    assert edited(html, "inlinecss") == html.replace("[if MSO]><p>", '[if MSO]><p style="a: b">')


def test_a_sheet_within_a_template_is_none() -> None:
    html = "<template><style>p{color:red}</style></template><style>p{margin:0}</style><p>"
    assert edited(html, "inlinecss") == html.replace("<p>", '<p style="margin: 0">')


@pytest.mark.parametrize(
    "tag", ["<script></script>", "<link>", "<base>", "<title>x</title>", "<style></style>"]
)
def test_elements_that_are_not_shown_count_as_children(tag: str) -> None:
    css = "p:first-child{color:red}p:nth-child(2){margin:0}"
    html = f"<!DOCTYPE html><div>{tag}<p></p></div><style>{css}</style>"
    assert edited(html, "inlinecss") == html.replace("<p>", '<p style="margin: 0">')


def test_several_elements_with_one_id_are_all_styled() -> None:
    html = "<style>#x{color:red}</style>" + "<p id=x></p>\n" * 100
    assert edited(html, "inlinecss").count('style="color: red"') == 100


@pytest.mark.parametrize(
    "css",
    [
        "p, p:-moz-bogus{color:red}",
        "p,,b{color:red}",
        "p >{color:red}",
        "p..c{color:red}",
        "p#1{color:red}",
        "}p{color:red}",
        "p p::-ms-x{color:red}",
        "div/**/p{color:red}",
        "@media print{p{color:red}",
        "p{color:red)}",
        "p{color red}",
        "p{color:}",
    ],
)
def test_what_browsers_do_not_apply_is_not_copied(css: str) -> None:
    html = f"<style>{css}</style><div><p></div>"
    assert edited(html, "inlinecss") == html


@pytest.mark.parametrize(
    "css",
    [
        "<!-- p{color:red} -->",
        "p{color:red",
        "@charset 'x';p{color:red}",
        "p/**/{color:red}",
        "P{COLOR:red}",
        "p{color/**/:red}",
        r"\70{color:red}",
        "p{;;color:red;}",
        "}b{x:y}p{color:red}",
        "@media print{b{x:y}}p{color:red}",
    ],
)
def test_what_browsers_apply_is_copied(css: str) -> None:
    html = f"<style>{css}</style><p>"
    assert edited(html, "inlinecss") == html.replace("<p>", '<p style="color: red">')


@pytest.mark.parametrize("css", ["p{color:rgba(0,0,0,.5}", "p{x:y}[a{color:red}", "p{color:red}b:not(c{x:y}"])
def test_a_bracket_left_open_leaves_the_styles_in_the_block(css: str) -> None:
    plan = plan_of(html_message(f"<style>{css}</style><p>"), "inlinecss")
    assert (plan.body, plan.skipped) == (None, {"inlinecss": "a bracket in <style> that is not closed"})


@pytest.mark.parametrize("body", ["<p><b>x</p>y<i></i>", "<div><b>y</div><svg></svg><body style=x:y>"])
def test_one_tag_that_browsers_make_several_elements_of_is_styled_only_if_they_all_are(body: str) -> None:
    html = f"<!DOCTYPE html><style>p > b,div > b{{color:red}}</style>{body}"
    assert edited(html, "inlinecss") == html
    html = f"<!DOCTYPE html><style>b{{color:red}}</style>{body}"
    assert edited(html, "inlinecss") == html.replace("<b>", '<b style="color: red">')
