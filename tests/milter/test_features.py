"""trackclicks, preventscam and inlinecss on small pieces of HTML."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatepost_milter.features.shownurls import is_url

from .making import PREFIX, edited, html_message, plan_of


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('<a href="https://x.test/a?b=1&amp;c=2#d">t</a>', f'<a href="{PREFIX}/a?b=1&amp;c=2#d">t</a>'),
        ("<A HREF=HTTP://X.test>t</A>", f"<A HREF={PREFIX}>t</A>"),
        ("<a href=' https://x.test:8080?q '>t</a>", f"<a href=' {PREFIX}?q '>t</a>"),
        ("<area href='https://x.test/é'>", f"<area href='{PREFIX}/é'>"),
        ("<a href='https://exämple.test/'>t</a>", f"<a href='{PREFIX}/'>t</a>"),
        (
            "<!--[if mso]><v:rect href='http://x.test/y'><![endif]-->",
            f"<!--[if mso]><v:rect href='{PREFIX}/y'><![endif]-->",
        ),
    ],
)
def test_a_link_keeps_all_but_scheme_and_host(before: str, after: str) -> None:
    assert edited(before, "trackclicks") == after


@pytest.mark.parametrize(
    "href",
    [
        "mailto:a@b.test",
        "tel:+1",
        "cid:x",
        "#x",
        "/x",
        "x.html",
        "//x.test/",
        "data:text/html,x",
        "javascript:void(0)",
        "{{url}}",
        "https://x.test/{{id}}",
        "*|URL|*",
        "https://%%host%%/",
        "https://${h}/",
        "<%= url %>",
        "[[url]]",
        "https://x.test/#{id}",
        "https&#58;//x.test/",
        "https://x.test&amp;/",
        "https://x.test/a/../b",
        "https://x.test/%2e%2E/",
        "https:x.test",
        "https:///x",
        "ftp://x.test/",
        "https://x.test\\y",
        "https://CLICK.example.test/TOKEN/x",
        "http s://x.test",
    ],
)
def test_what_is_no_plain_web_link_is_left_alone(href: str) -> None:
    html = f'<a href="{href}">t</a>'
    assert edited(html, "trackclicks") == html


def test_links_of_other_elements_are_left_alone() -> None:
    html = "".join(
        f'<{start}="https://x.test/">' for start in ("link href", "v:rect href", "img src", "base href")
    )
    assert edited(html, "trackclicks") == html


@pytest.mark.parametrize(
    "text",
    [
        "https://x.test/a",
        "www.x.test",
        "x.test",
        "<b>x.test</b>/a",
        " (x.test/) ",
        "http://x.test.",
        "x&#46;test",
        "WWW.X.TEST",
        "ex\xadample.test",
        "exämple.test",
        "xn--exmple-cua.test",
        "&lt;https://x.test&gt;",
        "x.test:80/a?b",
        "例え。テスト",
        "x<!-- y -->.test",
        "<span>www</span>.x.test<br>",
        "ftp://x.test",
        "«x.test»",
    ],
)
def test_a_link_that_shows_a_url_is_left_alone(text: str) -> None:
    html = f'<a href="https://x.test/y">{text}</a><a href="https://x.test/">more</a>'
    assert edited(html, "trackclicks", "preventscam") == html.replace('https://x.test/"', f'{PREFIX}/"')
    assert edited(html, "trackclicks") == html.replace('href="https://x.test/', f'href="{PREFIX}/')


@pytest.mark.parametrize(
    "text",
    ["Read more", "See x.test now", "", "1.5", "a@x.test", "Hello.", "...", "v2.0", "<img alt='x.test'>"],
)
def test_a_text_that_is_more_or_less_than_a_url_is_none(text: str) -> None:
    html = f'<a href="https://x.test/y">{text}</a>'
    assert edited(html, "trackclicks", "preventscam") != html


def test_a_long_text_is_no_url_and_takes_no_time() -> None:
    assert not is_url("a." * 100_000)
    assert is_url("a." * 60 + "test")


RULE = "<style>p{color:red}</style>"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<p>x", '<p style="color: red">x'),
        ("<p class=a>x", '<p style="color: red" class=a>x'),
        ("<p/>x", '<p style="color: red"/>x'),
        ('<p style="margin:0">x', '<p style="color: red;margin:0">x'),
        ("<p style='margin:0'>x", "<p style='color: red;margin:0'>x"),
        ("<p style=margin:0>x", '<p style="color: red;margin:0">x'),
        ('<P STYLE="">x', '<P STYLE="color: red;">x'),
        ('<p style="color:blue">x', '<p style="color:blue">x'),
        ("<p style>x", "<p style>x"),
        ("<b>x", "<b>x"),
        ("<!--[if mso]><p>x<![endif]-->", '<!--[if mso]><p style="color: red">x<![endif]-->'),
        (
            "<!-- <p> --><![if !mso]><p>x<![endif]>",
            '<!-- <p> --><![if !mso]><p style="color: red">x<![endif]>',
        ),
    ],
)
def test_a_rule_is_written_in_front_of_an_elements_own_style(before: str, after: str) -> None:
    assert edited(RULE + before, "inlinecss") == RULE + after


@pytest.mark.parametrize(
    ("css", "before", "after"),
    [
        ("p{color:red !important}", '<p style="color:blue">', '<p style="color:blue;color: red">'),
        ("@media print{p{color:red}}", "<p>", "<p>"),
        ("p:hover{color:red}", "<p>", "<p>"),
        ("[title=x]{color:red}", "<p title=x>", '<p style="color: red" title=x>'),
        ("a:link{color:red}", "<a href=#>", '<a style="color: red" href=#>'),
        ("#i.c{color:red}", "<p id=i class='b c'>", "<p style=\"color: red\" id=i class='b c'>"),
        ("div>p{color:red}", "<div><b></b><p></div>", '<div><b></b><p style="color: red"></div>'),
        ('p{font-family:"A\'B"}', "<p>", r"""<p style="font-family: 'A\27 B'">"""),
        ("p{font:1px\r\n  a}", "<p>", '<p style="font: 1px a">'),
        ('p{font-family:"A B"}', "<p style='x:y'>", "<p style='font-family: &#39;A B&#39;;x:y'>"),
        ("p{background:url(a?b&c)}", "<p>", '<p style="background: url(a?b&amp;c)">'),
    ],
)
def test_the_cascade_is_kept(css: str, before: str, after: str) -> None:
    style = f"<style>{css}</style>"
    assert edited(style + before, "inlinecss") == style + after


@pytest.mark.parametrize(
    ("css", "style"),
    [
        ("""p{background:url('x"y');color:red}""", r"background: url('x\22 y');color: red"),
        ("""p{content:"it's";color:red}""", r"content: 'it\27 s';color: red"),
        (r"""p{content:'\'\"a\62 ';color:red}""", r"content: '\27 \22 a\62 ';color: red"),
        (r"""p{background:url(x\'y)}""", r"background: url(x\27 y)"),
        ("""p{content:"a\\\nb"}""", "content: 'ab'"),
        (r"p{c\olor:red}@media all{v\:p:hover{color:red}}", "color: red"),
        ("""p/*"*/{/*'*/color:red}p{content:"a"}""", "color: red;content: 'a'"),
    ],
)
def test_quotes_and_escapes_in_a_sheet_mean_the_same_in_the_attribute(css: str, style: str) -> None:
    html = f"<style>{css}</style>"
    assert edited(html + "<p>x", "inlinecss") == f'{html}<p style="{style}">x'


def test_rules_in_a_conditional_comment_reach_only_what_is_in_conditional_comments() -> None:
    html = "<p>a<!--[if mso]><style>p{color:red}</style><p>b<![endif]-->"
    assert edited(html, "inlinecss") == html.replace("<p>b", '<p style="color: red">b')


def test_no_file_is_read(tmp_path: Path) -> None:
    sheet = tmp_path / "x.css"
    sheet.write_text("p{color:lime}")
    for link in (f'<link rel=stylesheet href="file://{sheet}">', f'<link rel="stylesheet" href="{sheet}">'):
        css = f'@import "file://{sheet}"; @import url({sheet}); [x]{{y:z}} b{{color:red}}'
        html = f"{link}<style>{css}</style><p>a<b>c"
        assert "lime" not in edited(html, "inlinecss")
        assert edited(html, "inlinecss") == html.replace("<b>", '<b style="color: red">')


@pytest.mark.parametrize(
    ("html", "reason"),
    [
        ("<p>x", "no <style> rule"),
        ("<style>q{color:red}</style><p>x", "no rule that applies"),
        (
            r"<style>p{color:red;c\:x:1}</style><p>x",
            r"the property name 'c\\:x' cannot be written in a style attribute",
        ),
        ("""<style>p{color:red;background:url(x"y)}</style><p>x""", "a quote in <style> that is not closed"),
        (RULE + "<div>" * 2000, "elements nested more than 1000 deep"),
        (RULE + "<p></p>" * 20001, "more than 20000 elements"),
        (f"<style>{'p{color:red}' * 30000}</style><p>x", "more than 262144 characters of CSS"),
        (
            f"<style>{'p{x:y}' * 10000}</style>" + "<p></p>" * 1000,
            "1001 elements times 10000 rules are too many",
        ),
    ],
)
def test_what_is_not_inlined_has_a_reason(html: str, reason: str) -> None:
    plan = plan_of(html_message(html), "inlinecss")
    assert (plan.body, plan.skipped) == (None, {"inlinecss": reason})
