"""A maker of messages as people, programs and broken scripts send them: one for each seed, always the same.

Charsets, transfer encodings, nesting, broken headers, bare CR and LF, NUL, 8-bit headers, lines of 5,000
bytes, empty ones. Sheets use properties (``x-gp-…``) without a space after the colon, and styles are
quoted, so that what inlinecss inserts can be told from what was there.
"""

from __future__ import annotations

import base64
import quopri
import random
from collections.abc import Iterator

COUNT = 320
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(64))
CHARSETS = (
    "utf-8",
    "iso-8859-1",
    "windows-1252",
    "us-ascii",
    "koi8-r",
    "shift_jis",
    "gb2312",
    "euc-kr",
    "iso-2022-jp",
    "utf-16",
    "big5",
    "UTF-8",
    "x-unknown",
    "",
)
_WORDS = {
    "utf-8": "Grüße, naïve 例え 😀",
    "UTF-8": "Ελληνικά — Ünïcödé",
    "iso-8859-1": "Grüße, naïve café",
    "windows-1252": "“Grüße” — naïve €",
    "koi8-r": "Привет, мир",
    "shift_jis": "こんにちは世界",
    "gb2312": "你好世界",
    "euc-kr": "안녕하세요",
    "iso-2022-jp": "こんにちは",
    "utf-16": "Grüße",
    "big5": "你好世界",
}
_URLS = (
    "https://www.example.org/",
    "http://example.org:8080/a/b?x=1&y=2#f",
    "https://example.org/?a=1&amp;copy=3&lt=4",
    "HTTPS://Example.ORG/Path",
    "https://example.org/%7euser/%E4%BD%A0?q=a%20b",
    " https://example.org/space ",
    "https://xn--exmple-cua.test/",
    "mailto:a@example.org?subject=x",
    "tel:+3120",
    "#top",
    "{{unsubscribe_url}}",
    "https://example.org/*|ID|*",
    "cid:a@b",
    "//example.org/x",
    "https://example.org/a/../b",
    "javascript:void(0)",
    "",
)
_ENDS = (
    "",
    "</body></html>",
    "</BODY>\r\n</HTML>\r\n",
    "<a href='",
    "<!-- ",
    "<style>p{x-gp-y:8",
    "</div></p>",
)
_SHEETS = (
    "",
    "<style>p{x-gp-a:1}.c{x-gp-b:2}#i1{x-gp-c:3}</style>",
    "<style type='text/css'><!-- p , a.c {x-gp-a:1} @media print{p{x-gp-z:9}} --></style>",
    "<style>a[href]{x-gp-d:4}td > b{x-gp-e:5}</style>",
    "<style>.c{x-gp-b:2;x-gp-f:6 !important}</style><!--[if mso]><style>p{x-gp-m:7}</style><![endif]-->",
    "<style>}{ broken</style>",
)


def _piece(r: random.Random, w: str) -> str:
    """Return a piece of HTML with a word of the charset in it."""
    pieces = (
        f'<a href="{r.choice(_URLS)}">{w}</a>',
        f"<A HREF='{r.choice(_URLS)}' class=c>example.org</A>",
        f"<a href=https://example.org/x{r.randrange(9)}>https://example.org/</a>",
        f'<p class="c d" style="color:red">{w}</p>',
        f"<p id=i{r.randrange(3)}>{w}\r\n{w}</p>",
        f'<img src="{r.choice(_URLS)}" alt="{w}">',
        '<img src="cid:a@b"><img src=cid:c@d srcset="https://example.org/1 1x, cid:a@b 2x">',
        f'<td background="{r.choice(_URLS)}" style="background:url(https://example.org/t)">{w}',
        (
            f'<!--[if mso]><v:rect href="https://example.org/v"><v:fill src="{r.choice(_URLS)}"/>'
            '<p class="c">x</p></v:rect><![endif]-->'
        ),
        f"<![if !mso]><b>{w}</b><![endif]><!-- <a href='https://example.org/'> -->",
        "<script>var a='<a href=\"https://example.org/\">';</script>",
        f"<table><tr><td>{w}<tr><td><b><i>{w}</b></i></table>",
        f"<p title='a>b' data-x=\"{w}\" checked>1 < 2 & 3 > 2</p>",
        '<a href="https://example.org/"title=x / =y><span>www.example.org</span></a>',
        "<?xml version='1.0'?><o:p></o:p><svg><path d='M0'/></svg>",
        f"<textarea><a href='https://example.org/'>{w}</textarea><br/><hr>",
        "x" * r.choice((0, 10, 990, 5000)),
        "\r\n" * r.randrange(4) + w,
    )
    return r.choice(pieces)


def html(r: random.Random, word: str) -> str:
    """Return HTML with CRLF line ends, valid or not."""
    pieces = "".join(_piece(r, word) + r.choice(("", "\r\n")) for _ in range(r.randrange(1, 14)))
    head = r.choice(("", "<!DOCTYPE html>\r\n<html><head><title>t</title>", "<html><body>"))
    return head + r.choice(_SHEETS) + pieces + r.choice(_ENDS)


def _encoded(r: random.Random, text: str, charset: str) -> tuple[str, bytes]:
    """Return a transfer encoding and the bytes of a text in it."""
    data = text.encode(charset if charset and charset != "x-unknown" else "utf-8", "xmlcharrefreplace")
    kind = r.choice(("8bit", "quoted-printable", "base64", "", "8bit", "quoted-printable"))
    if kind == "base64" or charset == "utf-16":
        return "base64", base64.encodebytes(data).replace(b"\n", r.choice((b"\r\n", b"\r\n", b"\n")))
    if kind == "quoted-printable":
        return kind, quopri.encodestring(data.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    return kind, data


def _leaf(r: random.Random, kind: str) -> bytes:
    charset = r.choice(CHARSETS) if r.random() < 0.7 else "utf-8"
    word = _WORDS.get(charset, "plain")
    encoding, body = _encoded(
        r, html(r, word) if kind == "text/html" else f"{word} https://example.org/\r\n", charset
    )
    parameter = f"; charset={r.choice((charset, chr(34) + charset + chr(34)))}" if charset else ""
    head = f"Content-Type: {kind}{parameter}\r\n" + (
        f"Content-Transfer-Encoding: {encoding}\r\n" if encoding else ""
    )
    if r.random() < 0.08:
        head += "Content-Disposition: attachment; filename=a.html\r\n"
    return head.encode() + b"\r\n" + body


def _image(cid: str) -> bytes:
    head = f"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <{cid}>\r\n\r\n"
    return head.encode() + base64.encodebytes(PNG).replace(b"\n", b"\r\n")


def _entity(r: random.Random, depth: int) -> bytes:
    """Return one entity: header, blank line, body."""
    whole = ("leaf", "leaf", "alternative", "related", "related", "mixed", "alternative", "leaf")
    kind = r.choice((*whole, *whole, "signed", "rfc822", "encrypted", "odd"))
    if depth > 3 or kind == "leaf":
        return _leaf(r, r.choice(("text/html", "text/html", "text/html", "text/plain")))
    if kind == "rfc822":
        return b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n" + _entity(r, depth + 1)
    if kind == "odd":
        return r.choice(
            (
                b"Content-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR\r\n",
                b"Content-Type: text/html\r\nno colon here\r\n\r\n<a href='https://example.org/'>",
                b"\r\n<a href='https://example.org/'>no header</a>",
                b"Content-Type: text/html\r\nContent-Type: text/plain\r\n\r\n<p>",
                b"Content-Type: ;;\r\n\r\n<p>",
                b"Content-Type: text/x-amp-html\r\n\r\n<a href='https://example.org/'>",
                b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!not base64=\r\n",
                b"Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<a =ZZ>\r\n",
                b"",
            )
        )
    boundary = f"=_{depth}_{r.randrange(10**6)}"
    parts = [_entity(r, depth + 1) for _ in range(r.randrange(1, 4))]
    if kind == "related":
        parts = [_leaf(r, "text/html"), _image("a@b"), _image("c@d")]
    body = b"preamble\r\n" if r.random() < 0.3 else b""
    for part in parts:
        body += f"--{boundary}\r\n".encode() + part + b"\r\n"
    if r.random() < 0.9:
        body += f"--{boundary}--\r\n".encode() + (b"epilogue\r\n" if r.random() < 0.2 else b"")
    return f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n'.encode() + body


_EXTRA = (
    b"X-Mailer: Odd Mailer 1.0\r\n",
    b"Subject: caf\xe9 \xc3\xa9\r\n",
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n folded\r\n\tagain\r\n",
    b"X-Long: " + b"y" * 900 + b"\r\n",
    b"X-Empty:\r\n",
    b"X-Double: 1\r\nX-Double: 2\r\nx-double: 3\r\n",
    b"List-Unsubscribe: <mailto:u@example.org>\r\n",
    b"User-Agent: x\r\nX-Originating-IP: [10.0.0.1]\r\n",
    b"X-Gatepost-Tags: one, two\r\n",
)


def message(seed: int) -> bytes:
    """Return the message of a seed, as a client sends it after DATA (no dot stuffing)."""
    r = random.Random(seed)  # noqa: S311  # no secret is made here
    head = (
        b"From: Alice <alice@example.test>\r\nTo: bob@example.org\r\nDate: Sun, 1 Mar 2026 12:00:00 +0100\r\n"
    )
    head += b"Message-ID: <%d@example.test>\r\n" % seed
    head += b"".join(r.sample(_EXTRA, r.randrange(3)))
    if r.random() < 0.9:
        head += b"MIME-Version: 1.0\r\n"
    raw = head + (_entity(r, 0) if r.random() < 0.97 else b"\r\n")
    if r.random() < 0.1:
        raw = _damaged(r, raw)
    return raw if b"\r\n\r\n" in raw else raw + b"\r\n\r\n"


def _damaged(r: random.Random, raw: bytes) -> bytes:
    """Return a message with bytes in its body that no message should have."""
    start = raw.find(b"\r\n\r\n") + 4
    for _ in range(r.randrange(1, 4)):
        place = r.randrange(start, len(raw)) if len(raw) > start else len(raw)
        raw = raw[:place] + r.choice((b"\r", b"\n", b"\x00", b"\xff", b"\x1b$B")) + raw[place:]
    return raw


def messages() -> Iterator[tuple[int, bytes]]:
    """Yield all messages with their seeds."""
    for seed in range(COUNT):
        yield seed, message(seed)
