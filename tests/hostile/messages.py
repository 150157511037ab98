"""The hostile set: each message is the worst that was found, or thought of, for one reader of messages.

Raw messages with CRLF line ends, as a client sends them. Sizes are near what the reader takes at most (a
megabyte of HTML, 60,000 bytes of a header field, 10,000 fields), so that what is quadratic takes minutes.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable

Make = Callable[[], bytes]
ADDRESS = "alice@example.test"
_FIELD = 57_000  # bytes: Postfix drops lines beyond 60,000 where there is a milter
_LINE = 900
_OVERRIDES = (
    "X-Gatepost-InlineCSS: on\nX-Gatepost-TrackClicks: on\nX-Gatepost-TrackOpens: on\n"
    "X-Gatepost-PreventScam: on\nX-Gatepost-Images: hosted\n"
)


def filled(unit: str, size: int) -> str:
    return unit * (size // len(unit))


def folded(value: str) -> str:
    """Return a field's value in lines that SMTP takes, white space added where it has to be."""
    return "\n ".join(value[at : at + _LINE] for at in range(0, len(value), _LINE))


def whole(head: str, body: str = "x\n", *, sender: str = f"From: {ADDRESS}\n") -> bytes:
    text = f"{sender}To: bob@example.org\nMIME-Version: 1.0\n{head}\n{body}"
    return text.replace("\n", "\r\n").encode("utf-8", "surrogateescape")


def author(value: str) -> Make:
    return lambda: whole("", sender=f"From: {folded(value)}\n")


def html(text: str, *, head: str = "") -> bytes:
    lines = text if "\n" in text else text.replace(">", ">\n")
    encoded = base64.encodebytes(lines.encode()).decode()
    return whole(
        f"{head}Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n", encoded
    )


def page(frame: str, size: int = 1_000_000) -> Make:
    """Return HTML of a size: ``before|unit|after``."""
    before, unit, after = frame.split("|")
    return lambda: html(before + filled(unit, size) + after)


def styled(css: str, body: str) -> Make:
    return lambda: html(f"<style>{css}</style>\n{body}")


def parts(made: Callable[[], Iterable[str]], kind: str = "mixed", head: str = "") -> Make:
    def make() -> bytes:
        body = "".join(f"--B\n{part}\n" for part in made()) + "--B--\n"
        return whole(f"{head}Content-Type: multipart/{kind}; boundary=B\n", body)

    return make


def html_part(text: str) -> str:
    return f"Content-Type: text/html\n\n{text}"


_SIBLINGS = "<i>x</i>" * 9_000
_SLOW = "i ~ b{}" * 15
_SLOW_HAS = ":Has(~ i){color:red}" * 200
_CHAIN = "i ~ i ~ i ~ i ~ b{}" * 10
_IMAGE = "Content-Type: image/png\nContent-ID: <{}>\nContent-Transfer-Encoding: base64\n\niVBORw0KGgo=\n"
_ATTACHED = "Content-Type: text/html\nContent-Disposition: attachment\n\n<p>"

FROM: dict[str, Make] = {
    "From: at signs in a bracket": author(f'"<{"@" * _FIELD}" <{ADDRESS}>'),
    "From: brackets": author(f'"{filled("<@", _FIELD)}" <{ADDRESS}>'),
    "From: closed brackets": author(f'"{filled("<a@b>", 16_000)}" <{ADDRESS}>'),
    "From: UTF-7 without end": author(f"{filled('=?utf-7?q?+', _FIELD)} <{ADDRESS}>"),
    "From: one word of UTF-7": author(f"=?utf-7?q?{'+' * 16_000}?= <{ADDRESS}>"),
    "From: words without end": author(f"{filled('=?x?q?', _FIELD)} <{ADDRESS}>"),
    "From: beginnings of words": author(f"{filled('=?', _FIELD)} <{ADDRESS}>"),
    "From: words": author(f"{filled('=?utf-8?b?PA==?= ', 16_000)} <{ADDRESS}>"),
    "From: nested comments": author(f"{'(' * 16_000}{')' * 16_000} {ADDRESS}"),
    "From: comments that never end": author(f"{'(' * _FIELD} {ADDRESS}"),
    "From: comments": author(f"{filled('(<a@b>)', 16_000)} {ADDRESS}"),
    "From: commas": author(f"{filled('a,', 16_000)} <{ADDRESS}>"),
    "From: quotes that never close": author(f'"{filled(chr(92) + chr(34), _FIELD)} <{ADDRESS}>'),
    "From: marks that combine": author(f'"<{filled(chr(0x300) + chr(0x327), 8_000)}@b>" <{ADDRESS}>'),
    "From: bare addresses": author(f"{filled('a@b.c ', 16_000)} <{ADDRESS}>"),
    "From: a domain for each look-up": author(", ".join(f"a@d{n}.test" for n in range(1_200))),
    "From: thousands of fields": lambda: whole(f'From: "<{"@" * 700}" <{ADDRESS}>\n' * 5_000, sender=""),
    "Sender: thousands of fields": lambda: whole(f"Sender: (x) <{ADDRESS}>\n" * 9_000),
}
HEADERS: dict[str, Make] = {
    "10,000 overrides": lambda: whole("X-Gatepost-TrackOpens: on\n" * 9_900),
    "an override of words": lambda: whole(f"X-Gatepost-Tags: {folded(filled('=?utf-8?q?', _FIELD))}\n"),
    "an override of labels": lambda: whole(f"X-Gatepost-Tags: {folded(filled('a,', _FIELD))}\n"),
    "9,900 private fields": lambda: whole("X-Mailer: x\n" * 9_900),
    "long fields to fold": lambda: whole(f"X-Long: {folded('a ' * 25_000)}\n" * 60),
    "signatures of the author": lambda: whole("DKIM-Signature: v=1; h=from:to; b=x\n" * 5_000),
    "parameters": lambda: whole(f"Content-Type: text/html{folded(filled('; a*0*=b', _FIELD))}\n", "<p>\n"),
    "comments in an encoding": lambda: whole(
        f"Content-Type: text/html\nContent-Transfer-Encoding: {folded(filled('(a)', _FIELD))} 8bit\n", "<p>\n"
    ),
}
STRUCTURE: dict[str, Make] = {
    "delimiters in long lines": parts(lambda: ["\n" + (filled("--B", 900) + "\n") * 4_000]),
    "1,000 parts with 20 fields each": parts(lambda: ["Content-X: y\n" * 20 + "\nx"] * 1_000),
    "1,000 HTML parts": parts(
        lambda: [html_part("<p><a href='https://x.test/'>x</a>")] * 1_000, head=_OVERRIDES
    ),
    "500 attached and 500 not": parts(
        lambda: [_ATTACHED, html_part("<img src=cid:0>")] * 490 + [_IMAGE.format(0)]
    ),
    "900 images of long names": parts(
        lambda: [html_part("<img src=cid:0>"), *[_IMAGE.format("a" * 900 + str(n)) for n in range(900)]],
        "related",
    ),
    "100 images and much to look through": parts(
        lambda: [
            *[html_part(filled("<p>text</p>\n", 90_000)) for _ in range(90)],
            html_part("".join(f"<img src='cid:i{n}'>\n" for n in range(100))),
            *[_IMAGE.format(f"i{n}") for n in range(100)],
        ],
        "related",
    ),
    "charset names": parts(
        lambda: [f"Content-Type: text/html; charset=x{n}{'y' * 500}\n\n<p>" for n in range(900)]
    ),
    "8-bit multiparts": parts(
        lambda: ["Content-Type: text/plain\n\n" + "\u00e9" * 500] * 900,
        head="Content-Transfer-Encoding: 8bit\n",
    ),
}
HTML: dict[str, Make] = {
    "HTML: tags that never end": page("|<a |"),
    "HTML: raw text within SVG": page("<svg>|<style |"),
    "HTML: conditional comments": page("|some text between <!--[if a]>-->|"),
    "HTML: unclosed elements and end tags": lambda: html(
        "<style>p{color:red}</style><div><b>" + "<optgroup>" * 990 + "</div>" * 100_000
    ),
    "HTML: end tags in a link": page("<a href='https://x.test/'>x.|</a |"),
    "HTML: a link's text of digits": lambda: html(f"<a href='https://x.test/'>.&#{'9' * 900_000}</a>"),
    "HTML: links without a text": page("\n|<a href=http://a.b>|"),
    "HTML: links in conditional comments": page("\n|<!--[if a]><a href=http://a.b><![endif]-->|"),
    "HTML: tags": page("\n|<i>|"),
    "HTML: links": page("|<a href='https://x.test/aaaaaaaaaa'>https://x.test/</a>|"),
    "HTML: attributes": page("<a |a=b |href='https://x.test/'>"),
    "HTML: attributes in nine parts": parts(
        lambda: [html_part("<a " + filled("a=b\n", 800_000) + "href='https://x.test/'>")] * 9, head=_OVERRIDES
    ),
    "HTML: links in nine parts": parts(
        lambda: [html_part(filled("<a href='https://x.test/a'>x.y</a>\n", 990_000))] * 9, head=_OVERRIDES
    ),
    "HTML: styles with addresses": page("<p style='|url(|'>"),
    "HTML: sources": page("<img srcset='|https://x.test/a 1x, |'>"),
    "HTML: escapes": page("<a href='https://x.test/|%41/../|'>x</a>"),
}
CSS: dict[str, Make] = {
    "CSS: siblings": styled(_SLOW, _SIBLINGS),
    "CSS: siblings with :has": styled(_SLOW_HAS, _SIBLINGS),
    "CSS: chains of siblings": styled(_CHAIN, _SIBLINGS),
    "CSS: descendants": styled("b b b b b b b b i{}" * 15, "<b>" * 900 + "<p>x</p>" * 9_000),
    "CSS: not of has": styled(":not(:has(p *)) > p{a:b}" * 150, "<p>" * 900),
    "CSS: siblings in ten parts": parts(
        lambda: [
            html_part(f"<style>{_SLOW}</style>{_SIBLINGS[: 900 * 8]}".replace(">", ">\n")) for _ in range(10)
        ],
        head=_OVERRIDES,
    ),
    "CSS: siblings in 300 parts": parts(
        lambda: [html_part(f"<style>{_SLOW}</style>" + "<i>x</i>\n" * 300) for _ in range(300)],
        head=_OVERRIDES,
    ),
    "CSS: siblings in conditional comments": styled(
        _SLOW, "".join(f"<!--[if a]>{'<i>x</i>' * 90}<![endif]-->\n" for _ in range(100))
    ),
    "CSS: much to write": styled(f"p{{{filled('color:red;', 50_000)}}}", "<p>x</p>" * 9_000),
    "CSS: comments that never end": styled(f"p{{a:url(x)}}{filled('/* ', 240_000)}", "<p>x"),
    "CSS: quotes": styled(f"p{{a:b}}{filled(chr(34) + chr(39), 240_000)}", "<p>x"),
    "CSS: rules and elements": styled(filled("p.a{b:c}", 200_000), "<p class=b>x</p>" * 10_000),
    "CSS: names that escape": styled(filled("\\70{a:b}", 200_000), "<p>x</p>" * 5_000),
}
MESSAGES: dict[str, Make] = {**FROM, **HEADERS, **STRUCTURE, **HTML, **CSS}
# What the messages ask for by a header, so that a credential without features gets there too.
BY_OVERRIDE = tuple(CSS)


def by_override(raw: bytes) -> bytes:
    """Return a message with header overrides that turn on what works on HTML."""
    return _OVERRIDES.replace("\n", "\r\n").encode() + raw
