"""Messages that public reports of other mailers tell of (``messages/found``), and what is right for each."""

from __future__ import annotations

import base64

import pytest
from selectolax.lexbor import LexborHTMLParser

from gatepost_core.domain import in_force
from gatepost_milter.editing.headers import AddHeader, Header, calls
from gatepost_milter.editing.message import Message, Plan, outcome
from gatepost_milter.features.trackopens import pixel_tag
from gatepost_milter.parts.bodies import files
from gatepost_milter.parts.locations import locations
from gatepost_milter.parts.mime import view
from gatepost_milter.parts.transfer import open_part
from gatepost_milter.pipeline import process
from gatepost_milter.surgery.context import Context

from .making import MESSAGES, OPEN, PIXEL, PREFIX, edited, html_message, message, plan_of
from .test_pipeline import multipart

LATIN = "iso-8859-1"


def found(name: str) -> Message:
    return message((MESSAGES / "found" / f"{name}.eml").read_bytes())


def body_after(msg: Message, plan: Plan) -> str:
    return (msg.body if plan.body is None else plan.body).decode("latin-1")


@pytest.mark.parametrize("name", ["02-link-entity-latin1", "02b-link-entity-us-ascii"])
def test_a_query_that_a_browser_writes_by_the_documents_charset_stays(name: str) -> None:
    msg = found(name)
    plan = plan_of(msg, "trackclicks")
    assert plan.body is None
    assert plan.skipped == {"trackclicks": "no link to track"}


def test_a_reference_that_ends_or_parts_a_path_is_seen() -> None:
    after = body_after(msg := found("02c-link-num-bsol"), plan_of(msg, "trackclicks"))
    assert f'href="{PREFIX}/x&num;f"' in after
    assert 'href="http://www.example.org/a&bsol;b"' in after


@pytest.mark.parametrize(
    ("charset", "rest", "meant"),
    [
        ("utf-8", "/s?q=caf&eacute;", "/s?q=café"),
        ("utf-8", "/s?a=1&amp;b=2&amp;copy=3", "/s?a=1&b=2&copy=3"),
        ("utf-8", "/s?a=1&b=2&copy=3", "/s?a=1&b=2&copy=3"),
        ("utf-8", "/x&num;f&amp;g", "/x"),
        ("utf-8", "/x?a&#x23;f", "/x?a"),
        (LATIN, "/s?a=1&amp;b=2", "/s?a=1&b=2"),
        (LATIN, "/s?a=&lt;1&gt;", "/s?a=<1>"),
        (LATIN, "/s?a=1&copy=2", "/s?a=1&copy=2"),
        (LATIN, "/s?a=1&copy", None),
        (LATIN, "/s?a=1&copy;b", None),
        (LATIN, "/s?a=1&copy.b", None),
        ("us-ascii", "/s?q=&#233;", None),
        ("", "/s?q=&eacute;", None),
        ("windows-1252", "/s?q=&#8364;", None),
        ("utf-8", "/a&bsol;b", None),
        ("utf-8", "/&period;&period;/b", None),
        ("utf-8", "/a&sol;&period;&period;&sol;b", None),
        ("utf-8", "&sol;..&sol;b", None),
    ],
)
def test_the_token_covers_what_a_browser_asks_for_or_the_link_stays(
    charset: str, rest: str, meant: str | None
) -> None:
    asked: list[str] = []

    def click(_scheme: str, _authority: str, path_and_query: str) -> str:
        asked.append(path_and_query)
        return PREFIX

    kind = f"text/html; charset={charset}" if charset else "text/html"
    msg = message(f'Content-Type: {kind}\n\n<a href="https://x.test{rest}">x</a>')
    plan = process(msg, Context(in_force({"trackclicks": True}), click))
    assert isinstance(plan, Plan)
    assert asked == ([] if meant is None else [meant])


def test_addresses_in_sheets_hold_no_character_references_and_no_escapes() -> None:
    for url in ("https://x.test/a?b=1&amp;c", "https://x.test/a?b=1&copy;", "https://x.test/a\\26 b"):
        sheet = f"<style>p{{background:url({url})}}</style>"
        assert edited(sheet + "<img src='https://x.test/i'>", "trackopens").startswith(sheet)
    assert OPEN in edited("<style>p{background:url(https://x.test/a?b=1&c=2)}</style>", "trackopens")


def test_an_image_that_names_a_part_of_the_message_stays() -> None:
    after = body_after(msg := found("14-content-location"), plan_of(msg, "trackopens"))
    assert '<img src="http://img.example.org/logo.png">' in after
    assert pixel_tag(PIXEL) in after


def test_an_image_may_be_named_relative_to_the_page_it_was_sent_with() -> None:
    page = "Content-Type: text/html\nContent-Location: http://example.org/a/page.html\n\n"
    image = "Content-Type: image/png\nContent-Location: %s\n\n"
    head = "Content-Type: multipart/related; boundary=B\nContent-Location: http://example.org/a/\n\n"
    text = f"{head}--B\n{page}<p>\n--B\n{image % 'logo.png?x'}\n--B\n{image % '//EXAMPLE.org/'}\n--B--\n"
    msg = message(text)
    assert locations(view(msg.headers, msg.body)) == {
        "http://example.org/a/",
        "http://example.org/a/page.html",
        "http://example.org/a/logo.png?x",
        "http://example.org/",
    }


def test_html_of_an_unknown_disposition_is_a_file() -> None:
    msg = found("15b-unknown-disposition")
    plan = plan_of(msg, "trackclicks", "inlinecss", "trackopens")
    assert plan.body is None
    assert plan.skipped["trackclicks"] == "part 2 is an attachment"


HTML = "Content-Type: text/html; charset=utf-8\n"
NAMED = HTML + 'Content-Disposition: inline; filename="report.html"\n'
TEXT = "Content-Type: text/plain\n\ntext"


@pytest.mark.parametrize(
    ("kind", "parts", "kept"),
    [
        ("mixed", [TEXT, NAMED], ["2"]),
        ("mixed", [HTML, NAMED], ["2"]),
        ("mixed", [TEXT, "Content-Type: text/html; name=report.html\n"], ["2"]),
        ("mixed", [TEXT, HTML + "Content-Disposition: inline; filename*=utf-8''r.html\n"], ["2"]),
        ("mixed", [TEXT, HTML + "Content-Disposition: inline; filename*0=r; filename*1=.html\n"], ["2"]),
        ("mixed", [NAMED, TEXT], []),
        ("mixed", [NAMED], []),
        ("mixed", [TEXT, HTML], []),
        ("alternative", [TEXT, NAMED], []),
        ("related", [NAMED, "Content-Type: image/png\n\nx"], []),
        ("mixed", [TEXT, HTML + "Content-Disposition: INLINE (shown)\n"], []),
        ("mixed", [HTML + "Content-Disposition: x-file\n"], ["1"]),
        ("mixed", [HTML + "Content-Disposition: attachment\n", HTML], ["1"]),
        ("mixed", ["Content-Type: text/plain; name=a.txt\n\ntext", NAMED], []),
    ],
)
def test_html_with_a_name_beside_the_text_is_a_file(kind: str, parts: list[str], kept: list[str]) -> None:
    whole = [part if "\n\n" in part else f'{part}\n<a href="https://x.test/">x</a>' for part in parts]
    msg = multipart(*whole, kind=kind)
    assert [part.number for part, _ in files(view(msg.headers, msg.body))] == kept
    body = plan_of(msg, "trackclicks").body
    links = sum("href" in part for part in whole)
    assert (body or b"").count(PREFIX.encode()) == links - len(kept)


@pytest.mark.parametrize(
    "rest",
    [
        "/unsubscribe/%recipient.id%",
        "/?e=%email%&x=1",
        "/?d=%date%",
        "/?a=%abc%",
        "/?a=%add_1%/x",
        "/u/{unsubscribe}",
        "/u/{$unsubscribe}",
        "/?a=%percnt;name%",
    ],
)
def test_a_name_between_percent_signs_or_in_braces_is_filled_in_later(rest: str) -> None:
    link = f'<a href="http://www.example.org{rest}">u</a>'
    if "percnt" in rest:
        link = link.replace("%percnt;name%", "&percnt;name&percnt;")
    assert edited(link, "trackclicks") == link
    assert plan_of(msg := found("16-percent-placeholder"), "trackclicks").body is None
    assert msg.body


@pytest.mark.parametrize(
    "rest", ["/%E4%BD%A0", "/?q=100%25&x=5%25", "/%7euser/a%20b", "/?discount=50%&x=1", "/?q={}"]
)
def test_percent_escapes_are_no_placeholders(rest: str) -> None:
    assert PREFIX + rest in edited(f'<a href="http://www.example.org{rest}">u</a>', "trackclicks")


def test_an_image_that_only_outlook_fetches_tells_no_open_of_others() -> None:
    after = body_after(msg := found("17-mso-only-image"), plan_of(msg, "trackopens"))
    assert f'<!--[if mso]><img src="{OPEN}/a.png"><![endif]-->' in after
    assert after.count(pixel_tag(PIXEL)) == 1


def test_one_image_that_all_fetch_is_enough_also_in_another_part() -> None:
    mso = '<!--[if mso]><img src="http://x.test/a"><![endif]-->'
    assert pixel_tag(PIXEL) not in edited(f"{mso}<img src='http://x.test/b'>", "trackopens")
    head = "Content-Type: text/html; charset=utf-8\n\n"
    for second, pixels in (("<img src='http://x.test/b'>", 0), ("<p>", 1), (mso, 1)):
        msg = multipart(head + mso, head + second)
        body = plan_of(msg, "trackopens").body or b""
        assert body.count(PIXEL.encode()) == pixels


def test_the_1x1_image_cannot_be_stretched() -> None:
    after = body_after(msg := found("09-pixel-stretched"), plan_of(msg, "trackopens"))
    image = LexborHTMLParser(after).css_first("img")
    assert image is not None
    style = image.attributes["style"] or ""
    declared = dict(declaration.split(":") for declaration in style.split(";"))
    names = ("display", "width", "height", "min-width", "min-height", "max-width", "max-height")
    for name in (*names, "margin", "padding", "border"):
        assert declared[name].endswith("!important"), name


def test_base64_in_uneven_lines_is_edited() -> None:
    msg = found("18-base64-uneven")
    plan = plan_of(msg, "trackclicks", "inlinecss")
    assert plan.body is not None
    text = open_part("base64", plan.body).decoded
    assert f'<a href="{PREFIX}/a">'.encode() in text
    assert all(len(line) <= 76 for line in plan.body.split(b"\r\n"))


PLAIN = b"<a href='http://www.example.org/a'>" + bytes(range(32, 127)) * 3
ENCODED = base64.encodebytes(PLAIN)


@pytest.mark.parametrize(
    "raw",
    [
        ENCODED.replace(b"\n", b" \t\r\n"),
        b"\r\n" + ENCODED,
        ENCODED.replace(b"\n", b"\r\n\r\n"),
        ENCODED.replace(b"\n", b""),
        b"\n".join(ENCODED.replace(b"\n", b"")[at : at + 3] for at in range(0, 480, 3)),
        ENCODED[:-3] + b"\n" + ENCODED[-3:],
    ],
)
def test_white_space_in_base64_means_nothing(raw: bytes) -> None:
    transfer = open_part("base64", raw)
    assert transfer.decoded == PLAIN
    after = transfer.at([(0, 2)]).written([b"<A"], lambda new: new)
    assert open_part("base64", after).decoded == b"<A" + PLAIN[2:]
    assert max(map(len, after.split(b"\n"))) <= max(77, len(raw))


def test_a_message_that_is_made_quoted_printable_gets_its_mime_version() -> None:
    msg = found("19-no-mime-version")
    plan = plan_of(msg, "trackopens")
    headers = outcome(msg, plan).headers
    assert Header(b"MIME-Version", b" 1.0") in headers
    assert Header(b"Content-Transfer-Encoding", b" quoted-printable") in headers


def test_a_mime_version_that_is_there_is_enough_and_two_parts_add_one() -> None:
    long = HTML + "\n" + "x" * 990 + '<a href="https://x.test/">x</a>'
    two = multipart(long, long)
    assert calls(plan_of(two, "trackclicks").headers) == (AddHeader(b"MIME-Version", b" 1.0"),)
    versioned = Message((Header(b"Mime-Version", b" 1.0"), *two.headers), two.body)
    assert calls(plan_of(versioned, "trackclicks").headers) == ()


def test_a_part_that_says_utf_8_keeps_its_queries() -> None:
    msg = html_message('<a href="https://x.test/?q=é">x</a>')
    assert PREFIX in body_after(msg, plan_of(msg, "trackclicks"))
