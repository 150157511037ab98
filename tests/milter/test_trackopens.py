"""trackopens: remote images lead through the click domain, and a message without any gets a 1x1 image."""

from __future__ import annotations

import pytest

from gatepost_milter.features.trackopens import pixel_tag

from .making import OPEN, PIXEL, edited, html_message, plan_of
from .test_pipeline import html, multipart

TAG = pixel_tag(PIXEL)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('<img src="https://x.test/a.png?b&amp;c#d">', f'<img src="{OPEN}/a.png?b&amp;c#d">'),
        ("<IMG SRC=http://x.test/a.png>", f"<IMG SRC={OPEN}/a.png>"),
        (
            '<img src="cid:a" srcset="https://x.test/1, https://x.test/a,b 2x,https://x.test/3 3x">',
            f'<img src="cid:a" srcset="{OPEN}/1, {OPEN}/a,b 2x,{OPEN}/3 3x">',
        ),
        (
            "<picture><source srcset='https://x.test/1 1x, //y/2 2x'></picture>",
            f"<picture><source srcset='{OPEN}/1 1x, //y/2 2x'></picture>",
        ),
        ("<input type=image src='https://x.test/'>", f"<input type=image src='{OPEN}/'>"),
        ("<td background='https://x.test/a'>", f"<td background='{OPEN}/a'>"),
        ("<video poster='https://x.test/a'>", f"<video poster='{OPEN}/a'>"),
        (
            "<p style=\"background: url('https://x.test/a.png') red\">",
            f"<p style=\"background: url('{OPEN}/a.png') red\">",
        ),
        (
            "<p style='background:url(&quot;https://x.test/a?b&amp;c&quot;)'>",
            f"<p style='background:url(&quot;{OPEN}/a?b&amp;c&quot;)'>",
        ),
        (
            "<style>/* background:url(https://c.test/) */ p{background-image:url(https://x.test/a)}"
            "@font-face{src:url(https://x.test/f)}</style>",
            f"<style>/* background:url(https://c.test/) */ p{{background-image:url({OPEN}/a)}}"
            "@font-face{src:url(https://x.test/f)}</style>",
        ),
        (
            "<!--[if mso]><v:fill src='https://x.test/a'><v:image src='http://x.test/b'/><![endif]-->",
            f"<!--[if mso]><v:fill src='{OPEN}/a'><v:image src='{OPEN}/b'/><![endif]-->{TAG}",
        ),
    ],
)
def test_a_remote_image_keeps_all_but_scheme_and_host(before: str, after: str) -> None:
    assert edited(before, "trackopens") == after


@pytest.mark.parametrize(
    "tag",
    [
        '<img src="cid:a">',
        '<img src="{{image}}">',
        '<img src="data:image/png;base64,x">',
        '<img src="/a.png">',
        '<a href="https://x.test/">t</a>',
        '<link rel=icon href="https://x.test/">',
        '<input type=text src="https://x.test/">',
        '<video src="https://x.test/"></video>',
        "<p style=background:url(https://x.test/)>",
        '<img srcset="https://x.test/a&#44; 2x">',
        "<!-- <img src='https://x.test/'> -->",
        "<script>'<img src=https://x.test/>'</script>",
    ],
)
def test_what_is_no_plain_remote_image_stays_and_a_1x1_image_is_added(tag: str) -> None:
    assert edited(tag, "trackopens") == tag + TAG


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<body><p>x</p></body></html>\r\n", f"<body><p>x</p>{TAG}</body></html>\r\n"),
        ("<p>x</p></HTML>", f"<p>x</p>{TAG}</HTML>"),
        (
            "<p>x</p></body></html><!--[if mso]><i>a</i><b>c</b><![endif]--> <![x]>",
            f"<p>x</p>{TAG}</body></html><!--[if mso]><i>a</i><b>c</b><![endif]--> <![x]>",
        ),
        (
            "<p>x<!--[if mso]></td></body><![endif]-->y</body>",
            f"<p>x<!--[if mso]></td></body><![endif]-->y{TAG}</body>",
        ),
        ("<p>x<!-- </body> --!>y", f"<p>x<!-- </body> --!>y{TAG}"),
        ("<title>x</body></title></body>", f"<title>x</body></title>{TAG}</body>"),
        ("<p>x</p><!-- </body> -->\r\n</body >", f"<p>x</p><!-- </body> -->\r\n{TAG}</body >"),
        ("hello\r\n", f"hello{TAG}\r\n"),
        ("", TAG),
    ],
)
def test_the_1x1_image_stands_before_the_end_of_the_body_or_at_the_end(before: str, after: str) -> None:
    assert edited(before, "trackopens") == after


@pytest.mark.parametrize(
    "end", ["<!-- open", "<p title='", "<script>x", "<title>x", "<style>p{", "<plaintext>"]
)
def test_no_image_is_put_where_nobody_would_see_it(end: str) -> None:
    plan = plan_of(html_message("<p>x</p>" + end), "trackopens")
    assert plan.body is None
    assert plan.skipped == {"trackopens": "the HTML ends within a tag or an element that shows no image"}


def test_one_1x1_image_is_enough_for_a_message_of_several_html_parts() -> None:
    plain = multipart(html("<p>a</p>"), html("<p>b</p>"))
    plan = plan_of(plain, "trackopens")
    assert plan.body == plain.body.replace(b"<p>a</p>", b"<p>a</p>" + TAG.encode())
    remote = multipart(html("<p>a</p>"), html("<img src='https://x.test/'>"))
    assert plan_of(remote, "trackopens").body == remote.body.replace(b"https://x.test", OPEN.encode())


def test_an_image_that_a_rule_brings_into_a_style_attribute_is_rewritten_there_too() -> None:
    before = "<style>p{background:url(https://x.test/a)}</style><p>x"
    after = edited(before, "trackopens", "inlinecss")
    assert after == (f'<style>p{{background:url({OPEN}/a)}}</style><p style="background: url({OPEN}/a)">x')


def test_all_features_work_on_one_tag_together() -> None:
    before = (
        "<style>a{color:red}</style><a href='https://x.test/'><img src='https://x.test/i' style='a:b'></a>"
    )
    after = edited(before, "trackopens", "trackclicks", "inlinecss")
    assert after == before.replace("<a href", '<a style="color: red" href').replace(
        "https://x.test/i", f"{OPEN}/i"
    ).replace("https://x.test/'>", "https://click.example.test/TOKEN/'>")
