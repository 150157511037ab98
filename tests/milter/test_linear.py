"""Whatever a message holds, reading and editing it is work in proportion to its size: steps are counted."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from ..steps import World, assert_linear

Make = Callable[[int], Any]


def repeated(frame: str) -> Make:
    """Return what makes texts of a size: ``before|unit|after``."""
    before, unit, after = frame.split("|")
    return lambda size: before + unit * (size // len(unit) + 1) + after


def multipart(parts: Callable[[int], list[str]], kind: str = "related") -> Make:
    head = f"From: a@b.test\nContent-Type: multipart/{kind}; boundary=B\n\n"
    return lambda size: head + "".join(f"--B\n{part}\n" for part in parts(size)) + "--B--\n"


# Where what might be quadratic is cheap, it shows only beyond these.
_LARGER = {
    "conditional comments and text between them": 4000,
    "links with an element in their text": 12000,
    "links with an element, in a conditional comment": 12000,
    "links to another host each time": 8000,
    "links of which each is written otherwise": 8000,
}
HTML = {
    "tags that never end": "|<a |",
    "raw text that never begins, within SVG": "<svg>|<style |",
    "raw text within SVG": "<svg>|<title><b></title>|",
    "CDATA": "<svg>|<![CDATA|",
    "conditional comments and text between them": "|some text between <!--[if a]>-->|",
    "conditional comments that never end": "|<!--[if a]>|",
    "comments that never end": "|<!-- --|",
    "comments that end otherwise": "|<!----!>|",
    "end tags that never end": "<a href='https://x.test/'>x.|</a |",
    "end tags with attributes": "<a href='https://x.test/'>x.|</b a=b>|",
    "quotes": "<a |href=\"'|",
    "attributes": "<a |a=b |href='https://x.test/'>",
    "attributes without a value": "<a |href= |>",
    "spaces in a tag": "<a |  |/>",
    "links whose text is one": "|<a href='https://x.test/'>https://x.test/</a>|",
    "labels of a host name": "<a href='https://x.test/'>|a.|-</a>",
    "a long label": "<a href='https://x.test/'>|a_|.</a>",
    "elements in a link": "<a href='https://x.test/'>|<b>|",
    "links never closed": "|<a href='https://x.test/'>|",
    "links with an element in their text": "|<a href='https://x.test/'><b>x.y</b></a>|",
    "links with an element, in a conditional comment": "<!--[if a]>|<a href='https://x.test/'><b>x.y</b></a>|<![endif]-->",
    "links to another host each time": "|<a href='https://x.test/'>x</a><a href='http://y.test/?a&amp;b'>y</a>|",
    "links of which each is written otherwise": "|<a href='https://x.test/'>x</a><a href='https://x.test/&#65;'>y</a>|",
    "references": "<a href='https://x.test/?|&#65;&copy=&|'>x</a>",
    "a number without end": "<a href='https://x.test/?&#|0|'>&#0</a>",
    "a number in a link's text": "<a href='https://x.test/'>.&#|9|</a>",
    "escapes": "<a href='https://x.test/|%41%|'>x</a>",
    "dot segments": "<a href='https://x.test/|a/../|'>x</a>",
    "slashes": "<a href='https://x.test|/|'>x</a>",
    "a host": "<a href='https://|x.|/'>x</a>",
    "sources": "<img srcset='|https://x.test/a 1x, |'>",
    "parentheses in a source": "<img srcset='a |(|'>",
    "commas in a source": "<img srcset='|,|'>",
    "addresses in a style": "<p style='|url(|'>",
    "ampersands in a style": "<p style='url(|&a|'>",
    "declarations in a sheet": "<style>|background:url(a) |</style>",
    "declarations without end": "<style>url(|background |</style>",
    "images": "|<img src='https://x.test/a'>|",
    "loose elements": "<div><b>|<optgroup>|</div></div></div>",
    "loose elements and end tags": "<div><b><optgroup><optgroup><optgroup>|</div>|",
    "tables": "|<table><tr><td>|",
    "closed formatting": "|<b></i>|",
}


@pytest.mark.parametrize("name", HTML)
def test_html(world: World, name: str) -> None:
    load = world.load
    opened, clicks, opens = (
        load(f"gatepost_milter.{one}")
        for one in ("html.opened", "features.trackclicks", "features.trackopens")
    )
    references, urls = load("gatepost_milter.html.references"), load("gatepost_milter.features.urls")
    nesting, transfer = load("gatepost_milter.html.nesting"), load("gatepost_milter.parts.transfer")

    def read(text: str) -> None:
        nesting.measure(text)
        try:
            part = opened.open_html("8bit", "utf-8", text.encode()).html
        except transfer.TransferError:
            return
        clicks.track(part, lambda *_: "https://c.test/x/", prevent_scam=True)
        found = references.image_references(part.scan)
        opens.remote_images(
            found.common + found.some, urls.Redirector(lambda *_: "https://c.test/x/", utf8=True)
        )
        opens.pixel(part, "https://c.test/x")

    assert_linear(world, repeated(HTML[name]), read, size=_LARGER.get(name, 250))


def test_elements_that_stay_open_are_not_gone_through_for_each_end_tag(world: World) -> None:
    nesting = world.load("gatepost_milter.html.nesting")
    assert_linear(
        world, lambda size: "<div><b>" + "<optgroup>" * size + "</div>" * size, nesting.measure, size=100
    )


MIXED = "From: a@b.test\nContent-Type: multipart/mixed; boundary="
IMAGE = "Content-Type: image/png\nContent-ID: <{}>\n\n\x89PNG\r\n"
ATTACHED = "Content-Type: text/html\nContent-Disposition: attachment\n\n<p>"
MESSAGES: dict[str, Make] = {
    "delimiters in one line": repeated(MIXED + "B\n\n--B\n\n|--B|"),
    "delimiters that are none": repeated(MIXED + "B\n\n|--Bx\n|"),
    "a long boundary": lambda n: f"{MIXED}{'b' * n}\n\n--{'b' * n}\n\nx",
    "parts": multipart(lambda n: ["Content-Type: text/html\n\n<a href='https://x.test/'>x</a>"] * (n // 40)),
    "parts without a header": multipart(lambda n: ["x"] * (n // 8)),
    "parts without an end of their header": multipart(lambda n: ["A: b" + "\nC: d" * (n // 5)]),
    "fields of a part": multipart(lambda n: ["Content-Type: a/b\n" * (n // 18) + "\nx"]),
    "folded fields of a part": multipart(lambda n: ["Content-Type: a/b" + "\n " * (n // 2) + "\n\nx"]),
    "a part's field without a colon": multipart(lambda n: ["a" * n + "\n\nx"]),
    "parameters": repeated("From: a@b.test\nContent-Type: text/html|; a*0=b|\n\n<p>"),
    "spaces in parameters": repeated("From: a@b.test\nContent-Type: text/html|; |x\n\n<p>"),
    "quotes in parameters": repeated('From: a@b.test\nContent-Type: text/html; a="|\\";a="|\n\n<p>'),
    "comments in Content-ID": multipart(lambda n: ["Content-ID: " + "(" * n + "<a>\n\nx"]),
    "comments in an encoding": repeated("From: a@b.test\nContent-Transfer-Encoding: |(a)|8bit\n\n<p>"),
    "hosted images of one id": multipart(
        lambda n: [
            "Content-Type: text/html\n\n<img src=cid:a>",
            *[IMAGE.format("a" * 20 + str(place)) for place in range(n // 20)],
        ]
    ),
    "attached HTML": multipart(
        lambda n: [
            IMAGE.format("a"),
            *[ATTACHED, "Content-Type: text/html\n\n<p>"] * (n // 20),
        ]
    ),
    "overrides": repeated("From: a@b.test\n|X-Gatepost-TrackOpens: on\n|\nx"),
    "words in an override": repeated("From: a@b.test\nX-Gatepost-Tags: |=?utf-8?q?|\n\nx"),
    "labels": repeated("From: a@b.test\nX-Gatepost-Tags: |a,|\n\nx"),
    "metadata": repeated('From: a@b.test\nX-Gatepost-Metadata: {"a": |[{"a":"\\|\n\nx'),
    "times to send at": repeated("From: a@b.test\nX-Gatepost-Send-At: |2|\n\nx"),
    "private fields": repeated("From: a@b.test\n|X-Mailer: a\n|\nx"),
    "signatures": repeated("From: a@b.test\n|DKIM-Signature: h=a:b\n|\nx"),
    "names of a signature": repeated("From: a@b.test\nDKIM-Signature: h=|a:|\n\nx"),
    "escapes of quoted-printable": repeated(
        "From: a@b.test\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n"
        "|<a=20href=3D'https://x.test/'>|"
    ),
    "short lines of base64": repeated(
        "From: a@b.test\nContent-Type: text/html\nContent-Transfer-Encoding: base64\n\n|PGE+\n|"
    ),
    "charset names": lambda n: f"From: a@b.test\nContent-Type: text/html; charset={'x' * n}\n\n<p>",
}  # fmt: skip


@pytest.mark.parametrize("name", MESSAGES)
def test_messages(world: World, name: str) -> None:
    eml, pipeline = world.load("gatepost_milter.parts.eml"), world.load("gatepost_milter.pipeline")
    message = world.load("gatepost_milter.editing.message")
    features = world.load("gatepost_core.domain.features")
    options = world.load("gatepost_core.domain.options").Options(edit_signed=True)
    on = ("trackclicks", "trackopens", "preventscam", "privacy", "unsubscribe")
    context = world.load("gatepost_milter.surgery.context").Context(
        features.in_force({**dict.fromkeys(on, True), "images": "hosted"}),
        lambda *_: "https://c.test/t/",
        opens=lambda *_: "https://c.test/o/",
        pixel="https://c.test/p",
        host=lambda *_: "https://c.test/i/a.png",
        options=options,
    )
    make = MESSAGES[name]

    def read(raw: bytes) -> None:
        headers, body = eml.read(raw)
        pipeline.process(message.Message(headers, body), context)

    assert_linear(world, lambda size: make(size).encode("latin-1"), read, size=_LARGER.get(name, 400))


SIGNED = {
    "long lines": repeated("|a|\n"),
    "lines of white space": repeated("| |\n"),
    "blank lines": repeated("|\r\n|x"),
    "returns": repeated("|\r|x"),
    "spaces and lines": repeated("| \r\n|x"),
}


@pytest.mark.parametrize("name", SIGNED)
def test_signing(world: World, name: str) -> None:
    canonical, transport = (
        world.load("gatepost_milter.dkim.canonical"),
        world.load("gatepost_milter.dkim.transport"),
    )
    fields = world.load("gatepost_milter.editing.headers")

    def sign(raw: bytes) -> None:
        canonical.body_digest(raw)
        canonical.header_value(raw)
        came = (fields.Header(b"From", b" a@b.test"), fields.Header(b"X", raw.replace(b"\r", b"")))
        transport.prepare(fields.Headers.of(came), raw, encode_8bit=True, most=0, limit=0)

    assert_linear(world, lambda size: SIGNED[name](size).encode(), sign, size=2500)


def test_long_header_lines_are_folded_in_one_go(world: World) -> None:
    transport, header = (
        world.load("gatepost_milter.dkim.transport"),
        world.load("gatepost_milter.editing.message").Header,
    )
    for unit in (b"a", b"a ", b" a", b" " + b"a" * 997, "ü".encode()):
        assert_linear(
            world,
            lambda size, unit=unit: header(b"X", b" " + unit * (size // len(unit))),  # type: ignore[misc]
            transport._folded,
            size=8000,
        )


def test_multiparts_that_were_8bit_are_called_7bit_in_one_go(world: World) -> None:
    transport, fields = (
        world.load("gatepost_milter.dkim.transport"),
        world.load("gatepost_milter.editing.headers"),
    )
    part = b"--B\r\nContent-Type: text/plain\r\n\r\n\xe9\r\n"
    head = fields.Headers.of(
        (
            fields.Header(b"Content-Type", b" multipart/mixed; boundary=B"),
            fields.Header(b"Content-Transfer-Encoding", b" 8bit"),
            fields.Header(b"MIME-Version", b" 1.0"),
        )
    )
    prepared = transport.prepare(head, part * 3 + b"--B--\r\n", encode_8bit=True, most=0, limit=0)
    assert [field.value for field in prepared.headers][1] == b" 7bit"
    assert_linear(
        world,
        lambda size: part * (size // len(part)) + b"--B--\r\n",
        lambda body: transport.prepare(head, body, encode_8bit=True, most=0, limit=0),
        size=800,
    )


@pytest.mark.parametrize("names", [[b"X"], [b"X", b"Y", b"y"]])
def test_header_fields_are_edited_and_compared_in_one_go(world: World, names: list[bytes]) -> None:
    fields = world.load("gatepost_milter.editing.headers")

    def edit(came: tuple[Any, ...]) -> None:
        headers = fields.Headers.of(came).without(lambda header: header.name == b"Y")
        headers = headers.edited(lambda header: header.value + b"new").with_value(b"X", b" all")
        headers = headers.added(*came).on_top(*came)
        assert len(fields.calls(headers)) == 3 * len(came)
        assert headers.touched() == {name.lower() for name in names}
        fields.wire_size(headers)

    assert_linear(
        world,
        lambda size: tuple(fields.Header(name, b" a\n\tb") for name in names * size),
        edit,
        size=100,
    )


def test_files_are_read_and_compared_in_bounded_work(world: World) -> None:
    eml, maildiff = world.load("gatepost_milter.parts.eml"), world.load("gatepost_cli.maildiff")
    assert_linear(world, lambda size: b"From: a@b.test\n" + b" a\n" * size, eml.read)
    for change in (lambda line: line + "!", lambda _: "b"):
        assert_linear(
            world,
            lambda size: ["a"] * 10 * size,
            lambda lines, change=change: maildiff._diff(lines, [change(line) for line in lines]),  # type: ignore[misc]
        )
    assert maildiff._diff(["a"] * 3000, [*["b"] * 3000, "c"]) == ["3000 lines became 3001"]


def test_requests_names_and_domains_are_read_in_linear_time(world: World) -> None:
    policy, sasl = world.load("gatepost_policy.protocol"), world.load("gatepost_sasl.protocol")
    names, rules, tokens = (
        world.load("gatepost_sasl.names"),
        world.load("gatepost_core.domain.rules"),
        world.load("gatepost_core.keys.tokens"),
    )
    claimed = names.Names(["a*b*c", "*.*.*@x"])

    def attributes(request: bytes) -> None:
        with suppress(policy.ProtocolError):
            policy.decode(request)

    usual = b"request=smtpd_access_policy\nprotocol_state=RCPT\n"
    for unit in (b"a=b\n", b"sender=\n", b"a", b"\n", b"protocol_state=x\nclient_address=y\n"):
        assert_linear(world, lambda size, unit=unit: usual + unit * (size // len(unit)), attributes)  # type: ignore[misc]
    assert_linear(
        world, lambda size: usual * (size // 48) + b"\n" * size, lambda data: policy.Decoder().requests(data)
    )
    assert_linear(
        world, lambda size: b"AUTH\t1\tPLAIN" + b"\ta=b" * size + b"\tresp=" + b"\t" * size, sasl.decode
    )
    for text_unit in ("a", "ab", ".", "\u30fb", "\u200d", "\u0300\u0327", "xn--", "ß."):
        assert_linear(world, lambda size, unit=text_unit: unit * size, rules.normal_domain)  # type: ignore[misc]
        assert_linear(world, lambda size, unit=text_unit: "a@" + unit * size, claimed.__contains__)  # type: ignore[misc]
    for path in ("/%41", "/../a", "/a", "/.", "?/..", "%", "\t", "ü"):
        assert_linear(world, lambda size, path=path: "/a" + path * size, lambda text: climbing(tokens, text))  # type: ignore[misc]


def climbing(tokens: Any, path: str) -> None:
    with suppress(tokens.TokenError):
        tokens.normal_path(path)
