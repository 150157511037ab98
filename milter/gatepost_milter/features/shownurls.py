"""Is a link's visible text itself a URL or a host name?

Mail programs warn when such a text and the link's target differ. The text is what a reader sees: tags and
comments away, character references decoded, invisible characters and surrounding punctuation ignored.
Never raises.
"""

from __future__ import annotations

import re

from gatepost_milter.html.attributes import unescaped
from gatepost_milter.html.gaps import end_tags
from gatepost_milter.html.gaps import text as gap_text
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


def shows_url(scan: Scan, index: int) -> bool:
    """Say whether the ``<a>`` at ``scan.tags[index]`` has a URL or a host name as its text."""
    following = scan.tags[index + 1][3] if index + 1 < len(scan.tags) else scan.tail
    end = following.find("</a>")
    if end >= 0 and "<" not in following[:end]:
        text = following[:end]
        if "." not in text and "&" not in text and text.isascii():
            return False
    text = inner(scan, index)
    if "." not in text and "&" not in text and text.isascii():
        return False
    return is_url(unescaped(text))


def is_url(text: str) -> bool:
    """Say whether ``text`` is nothing but a URL or a host name."""
    word = _INVISIBLE.sub("", text).strip(_EDGE)
    return 0 < len(word) < TEXT_MOST and not any(map(str.isspace, word)) and _URL.fullmatch(word) is not None


def inner(scan: Scan, index: int) -> str:
    """Return the link's text, character references as they are."""
    pieces: list[str] = []
    size = 0
    for place in range(index + 1, len(scan.tags) + 1):
        gap = scan.tags[place][3] if place < len(scan.tags) else scan.tail
        size += len(gap)
        close = next((start for start, name in end_tags(gap) if name == "a"), None)
        pieces.append(gap_text(gap if close is None else gap[:close]))
        if close is not None or size > TEXT_MOST or (place < len(scan.tags) and scan.tags[place][1] == "a"):
            break
        if place < len(scan.tags) and scan.tags[place][1] in _LINE_BREAKS:
            pieces.append(" ")
    return "".join(pieces)
