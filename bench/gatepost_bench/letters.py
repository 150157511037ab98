"""Personal bulk mail: a mailing of 19 kB of HTML with 60 links and 60 images, another one for each reader.

What differs is what sending programs put in: the name in the greeting, the number that each link, each image
and the subject carry. All else is the same from letter to letter, as it is in one mailing. Quoted-printable
or base64, as sending programs write it.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from typing import Literal

Encoding = Literal["quoted-printable", "base64"]
CARDS = 60
_NAMES = ("Noor", "Alexander", "Zoë", "Bo", "Marie-Claire", "Łukasz", "Ana", "Frédéric", "Sofie", "Tim")
_THINGS = ("wool blanket", "tea pot", "oak bench", "lantern", "field guide", "linen apron", "reading lamp")
_STYLE = """\
body { margin:0; padding:0; background-color:#f4f1ec; }
body, td, p, a { font-family:Helvetica, Arial, sans-serif; }
table { border-collapse:collapse; }
img { border:0; display:block; }
h1 { font-size:28px; line-height:34px; color:#2b2b2b; margin:0 0 12px 0; }
p { font-size:16px; line-height:24px; color:#444444; margin:0 0 16px 0; }
.card { padding:8px; width:33%; vertical-align:top; }
.card a { color:#a34a28; text-decoration:none; }
.price { font-size:15px; color:#2b2b2b; font-weight:bold; }
.muted td { color:#999999; font-size:12px; }
@media only screen and (max-width:600px) { .card { display:block; width:100% !important; } }
a:hover { text-decoration:underline; }
"""
_HEADER = """\
Date: Thu, 22 Oct 2026 09:30:00 +0200
From: The Corner Shop <news@example.test>
To: reader@example.org
Subject: Nine things for autumn, order {reader}
Message-ID: <{reader}.{number}@example.test>
X-Mailer: Mailing 4.2
MIME-Version: 1.0
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: {encoding}

"""


@dataclass(frozen=True, slots=True)
class Mailing:
    """The letters of one mailing. ``same``: each reader gets the first one's."""

    encoding: Encoding
    same: bool = False

    def letter(self, number: int) -> bytes:
        """Return the letter to one reader, with CRLF line ends."""
        number = 0 if self.same else number
        reader = f"{number * 7919 + 104729:08x}"
        header = _HEADER.format(reader=reader, number=number, encoding=self.encoding)
        html = _HTML.replace("@NAME@", _NAMES[number % len(_NAMES)]).replace("@READER@", reader)
        return header.replace("\n", "\r\n").encode() + _encoded(html.encode(), self.encoding)


def _encoded(html: bytes, encoding: Encoding) -> bytes:
    if encoding == "quoted-printable":
        return binascii.b2a_qp(html, istext=True).replace(b"\n", b"\r\n")
    lines = [binascii.b2a_base64(html[place : place + 57]) for place in range(0, len(html), 57)]
    return b"".join(lines).replace(b"\n", b"\r\n")


def _card(number: int) -> str:
    thing = _THINGS[number % len(_THINGS)]
    path = f"{number + 1}/{thing.replace(' ', '-')}"
    return (
        f'<td class="card"><a href="https://shop.example.org/p/{path}'
        f'?utm_source=mailing&amp;utm_medium=email&amp;r=@READER@">'
        f'<img src="https://img.example.org/{path}.jpg?r=@READER@" width="180" height="120" alt="{thing}">'
        f'Our {thing} no. {number + 1}</a> <span class="price">€ {number + 4},50</span></td>\n'
    )


def _html() -> str:
    rows = "".join(
        "<tr>" + "".join(map(_card, range(first, first + 3))) + "</tr>\n" for first in range(0, CARDS, 3)
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Autumn</title>\n'
        f'<style type="text/css">\n{_STYLE}</style></head>\n<body>\n<h1>Long evenings, well spent</h1>\n'
        "<p>Hello @NAME@, the clocks go back this weekend, and we have looked for things that make an "
        "evening at home better. Orders placed before Sunday are delivered free of charge.</p>\n"
        f'<table width="600" role="presentation">\n{rows}</table>\n'
        '<table class="muted"><tr><td>The Corner Shop · Dorpsstraat 1 · Voorbeeldstad</td></tr></table>\n'
        "</body></html>\n"
    )


_HTML = _html()
