"""What stands between the start tags of a scan: text, end tags, comments (HTML section 13.2.5).

A gap is a run of whole pieces, as ``scanner`` found them, so each is recognised by the pattern that found it,
and none is left open. Time is linear; nothing here fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gatepost_milter.html.scanner import ATTRIBUTES, COMMENT_REST, NAME

_END_TAG = rf"</({NAME})(?:>|(?=[ \t\n\f\r/]){ATTRIBUTES}>)"
_OTHER = r"<!(?!--)[^>]*+>|<\?[^>]*+>|</[^a-zA-Z>][^>]*+>|</>"
_PIECE = re.compile(rf"(<!--{COMMENT_REST})|{_END_TAG}|{_OTHER}")


def without_comments(gap: str) -> str:
    """Return a gap without its comments; end tags and ``<![if …]>`` stay."""
    if "<!--" not in gap:
        return gap
    return _PIECE.sub(lambda piece: "" if piece[1] else piece[0], gap)


def text(gap: str) -> str:
    """Return the text of a gap, character references as they are."""
    return _PIECE.sub("", gap) if "<" in gap else gap


def end_tags(gap: str) -> Iterator[tuple[int, str]]:
    """Yield where each end tag begins, and its name in lower case."""
    for piece in _PIECE.finditer(gap):
        if piece[2]:
            yield piece.start(), piece[2].lower()
