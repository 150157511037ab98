"""Letters in which every feature finds something to do: one for each number, always the same.

Each has fields of its sender's program, a link to follow, one that shows its address, a remote image, an
embedded one, and rules of a sheet that apply; charset, transfer encoding and nesting vary. Texts are unique,
so that one letter is never taken for another.
"""

from __future__ import annotations

import base64
import quopri
import random

from tests.corpus.maker import PNG

SHOWN = "https://shown.example.org/{0}?a=1&amp;copy=2"
_PRIVATE = (
    "X-Mailer: Odd Mailer {0}\r\n",
    "User-Agent: Agent/{0}\r\n",
    "X-Originating-IP: [10.0.0.{0}]\r\n",
    "X-PHP-Originating-Script: 1000:mail{0}.php\r\n",
    "x-mailer: one\r\nX-Other: kept\r\nX-MAILER: two\r\n\tfolded\r\n",
)
# Charset, a word of it, transfer encoding.
_TEXTS = (
    ("utf-8", "Grüße, naïve 例え 😀", "8bit"),
    ("utf-8", "Ελληνικά = Ünïcödé", "quoted-printable"),
    ("utf-8", "Grüße", "base64"),
    ("us-ascii", "plain = text", "7bit"),
    ("us-ascii", "plain = text", "quoted-printable"),
    ("iso-8859-1", "Grüße, naïve café", "8bit"),
    ("iso-8859-1", "Grüße = café", "quoted-printable"),
    ("windows-1252", "“Grüße” — naïve €", "quoted-printable"),
    ("koi8-r", "Привет, мир", "base64"),
    ("koi8-r", "Привет, мир", "8bit"),
    ("shift_jis", "こんにちは世界", "base64"),
    ("euc-kr", "안녕하세요", "quoted-printable"),
    ("gb2312", "你好世界", "8bit"),
    ("iso-2022-jp", "こんにちは", "7bit"),
)
_SHEETS = (
    "<style>p{x-gp-a:1}.c{x-gp-b:2}#i1{x-gp-c:3}</style>",
    "<style type='text/css'><!-- p , a.c {x-gp-a:1} @media print{p{x-gp-z:9}} --></style>",
    "<style>p,a[href]{x-gp-d:4}td > b{x-gp-e:5}</style>",
    "<style>p.c{x-gp-b:2;x-gp-f:6 !important}</style><!--[if mso]><style>p{x-gp-m:7}</style><![endif]-->",
)


def _pieces(r: random.Random, number: int, word: str) -> list[str]:
    """Return pieces of HTML, those that every letter has first."""
    own = [
        f'<a href="https://www.example.org/read/{number}?a=1&copy=3&amp;lang=en">{word}</a>',
        f'<a href="{SHOWN.format(number)}">{SHOWN.format(number)}</a>',
        f'<img src="http://img.example.org:8080/{number}.png" alt="{word}">',
        '<img src="cid:one@letter" width=10>',
        f'<p class="c d" id=i1>{word} {number}</p>',
    ]
    more = [
        f"<A HREF='HTTPS://Example.ORG/Path/{number}' class=c>{word}</A>",
        f"<a href=https://example.org/x{number}>www.example.org</a>",
        '<a href="mailto:a@example.org">a@example.org</a><a href="#top">top</a>',
        f'<a href="{{{{unsubscribe_url}}}}">{word}</a><a href="https://example.org/*|ID|*">{word}</a>',
        f'<p class="c" style="color:red">{word}\r\n{word}</p>',
        '<img src=cid:two@letter srcset="https://img.example.org/1 1x, cid:one@letter 2x">',
        '<table><tr><td background="https://img.example.org/b" style="background:url(cid:one@letter)">'
        "<b>x</b></table>",
        '<!--[if mso]><v:rect href="https://example.org/v"><v:fill src="cid:one@letter"/>'
        '<p class="c">x</p></v:rect><![endif]-->',
        f"<![if !mso]><b>{word}</b><![endif]><!-- <a href='https://example.org/'> -->",
        "<script>var a='<a href=\"https://example.org/\">';</script>",
        f"<p title='a>b' data-x=\"{word}\" checked>1 < 2 & 3 > 2</p>",
        "x" * r.choice((10, 990, 5000)) + "\r\n",
    ]
    some = own + r.sample(more, r.randrange(2, len(more)))
    r.shuffle(some)
    return some


def html_of(number: int) -> str:
    """Return the HTML of a letter, CRLF line ends."""
    r = random.Random(number)  # noqa: S311  # no secret is made here
    _, word, _ = _TEXTS[number % len(_TEXTS)]
    head = "<!DOCTYPE html>\r\n<html><head><title>t</title>" + r.choice(_SHEETS) + "</head><body>\r\n"
    pieces = "".join(piece + r.choice(("", "\r\n")) for piece in _pieces(r, number, word))
    return head + pieces + r.choice(("</body></html>\r\n", "\r\n</BODY>\r\n</HTML>", "</div>\r\n"))


def _leaf(kind: str, text: str, charset: str, encoding: str) -> bytes:
    data = text.encode(charset, "xmlcharrefreplace")
    if encoding == "base64":
        data = base64.encodebytes(data).replace(b"\n", b"\r\n")
    elif encoding == "quoted-printable":
        data = quopri.encodestring(data.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    head = f"Content-Type: {kind}; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + data


def _file(kind: str, data: bytes, *fields: str) -> bytes:
    lines = [f"Content-Type: {kind}", "Content-Transfer-Encoding: base64", *fields]
    return "\r\n".join((*lines, "", "")).encode() + base64.encodebytes(data).replace(b"\n", b"\r\n")


def image(number: int, place: int) -> bytes:
    """Return the bytes of a letter's embedded image."""
    return PNG + number.to_bytes(4, "big") + bytes([place])


def _multipart(kind: str, boundary: str, *parts: bytes) -> bytes:
    delimiter = f"--{boundary}\r\n".encode()
    body = b"".join(delimiter + part + b"\r\n" for part in parts)
    head = f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n'
    return head.encode() + body + f"--{boundary}--\r\n".encode()


def letter(number: int, attached: int = 0) -> bytes:
    """Return a letter as a client sends it after DATA; ``attached``: bytes of a file that comes with it."""
    charset, word, encoding = _TEXTS[number % len(_TEXTS)]
    html = _leaf("text/html", html_of(number), charset, encoding)
    text = _leaf("text/plain", f"{word} {number} https://example.org/\r\n", charset, encoding)
    images = [
        _file("image/png", image(number, place), f"Content-ID: <{name}@letter>")
        for place, name in enumerate(("one", "two"))
    ]
    related = _multipart("related", f"=_r{number}", html, *images)
    both = _multipart("alternative", f"=_a{number}", text, related)
    pdf = _file(
        "application/pdf", b"%PDF" + bytes(attached or 900), "Content-Disposition: attachment; filename=a.pdf"
    )
    shapes = (related, both, _multipart("mixed", f"=_m{number}", both, pdf))
    entity = shapes[2 if attached else number // len(_TEXTS) % len(shapes)]
    head = (
        f"{_PRIVATE[number % len(_PRIVATE)].format(number % 256)}From: Alice <alice@example.test>\r\n"
        f"To: bob@example.org\r\nSubject: letter {number}\r\nDate: Sun, 1 Mar 2026 12:00:00 +0100\r\n"
        f"Message-ID: <letter.{number}@example.test>\r\nMIME-Version: 1.0\r\n"
    )
    return head.encode() + entity
