"""Is a link's visible text itself a URL or a host name?

Mail programs warn when such a text and the link's target differ. The text is what a reader sees: tags and
comments away, character references decoded, invisible characters and surrounding punctuation ignored.
Never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from gatepost_milter.html.attributes import unescaped
from gatepost_milter.html.gaps import text_until
from gatepost_milter.html.scanner import Scan

# No URL that anybody shows is longer; what is longer is prose.
TEXT_MOST = 4000
# Soft hyphen, zero-width space and joiners, word joiner, direction marks, BOM.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff]"
)
# A dot in a host name may be written in four ways (RFC 3490 section 3.1).
_DOT = "[.\u3002\uff0e\uff61]"
_LABEL = r"[^\W_](?:[\w-]*[^\W_])?"
_URL = re.compile(
    rf"(?:[a-z][a-z0-9+.-]*:(?://|\\\\)\S+|www{_DOT}\S+"
    rf"|(?:{_LABEL}{_DOT})+(?:xn--[a-z0-9-]+|[^\W\d_]{{2,63}}){_DOT}?(?::\d+)?(?:[/?\#]\S*)?)",
    re.IGNORECASE,
)
_EDGE = " \t\n\f\r\u00a0()[]{}<>\"'`«»‹›“”‘’„‚.,;:!?→›…*_|-–—/\\"  # noqa: RUF001  # typographic quotes are meant
_LINE_BREAKS = frozenset({"br", "p", "div", "td", "tr", "table", "li", "h1", "h2", "h3", "hr"})


def show_urls(scan: Scan, places: Iterable[int]) -> Iterator[bool]:
    """Say of each ``<a>``, which stands at ``scan.tags[place]``, whether its text is a URL or a host name."""
    tags, last = scan.tags, len(scan.tags) - 1
    known: dict[str, bool] = {}
    for place in places:
        text, closed = text_until(tags[place + 1][3] if place < last else scan.tail, "a")
        if not closed and place < last and tags[place + 1][1] != "a":
            text = inner(scan, place)
        if "." not in text and "&" not in text and text.isascii():
            yield False
            continue
        if text not in known:
            known[text] = is_url(unescaped(text))
        yield known[text]


def is_url(text: str) -> bool:
    """Say whether ``text`` is nothing but a URL or a host name."""
    word = (text if text.isascii() else _INVISIBLE.sub("", text)).strip(_EDGE)
    return len(word) < TEXT_MOST and _URL.fullmatch(word) is not None


def inner(scan: Scan, index: int) -> str:
    """Return the link's text, character references as they are."""
    pieces: list[str] = []
    size = 0
    tags, count = scan.tags, len(scan.tags)
    for place in range(index + 1, count + 1):
        name, gap = (tags[place][1], tags[place][3]) if place < count else ("", scan.tail)
        text, closed = text_until(gap, "a")
        pieces.append(text)
        size += len(gap)
        if closed or size > TEXT_MOST or name == "a":
            break
        if name in _LINE_BREAKS:
            pieces.append(" ")
    return "".join(pieces)
