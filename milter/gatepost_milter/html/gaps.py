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
# Anything but text and plain end tags.
_MORE = re.compile(r"<[!?]|</[^a-zA-Z]|</[^ \t\n\f\r/>]*+[ \t\n\f\r/]")
_PIECE = re.compile(rf"(<!--{COMMENT_REST})|{_END_TAG}|{_OTHER}")
_ANY_PIECE = re.compile(rf"<!--\[(?i:if){COMMENT_REST}|<!--(?!\[[iI][fF]){COMMENT_REST}|{_END_TAG}|{_OTHER}")


def end_tags_alone(gap: str) -> str:
    """Return a gap without comments of any kind, its end tags without attributes; text stays."""
    if not _MORE.search(gap):
        return gap
    return _PIECE.sub(lambda piece: f"</{piece[2]}>" if piece[2] else "", gap)


def text_until(gap: str, name: str) -> tuple[str, bool]:
    """Return the text of a gap, and whether an end tag of this name ends it.

    Character references stay as they are.
    """
    text, closed, _ = gap.partition(f"</{name}>")
    if "<" not in text:
        return text, bool(closed)
    pieces: list[str] = []
    end = 0
    for piece in _PIECE.finditer(gap):
        pieces.append(gap[end : piece.start()])
        end = piece.end()
        if piece[2] and piece[2].lower() == name:
            return "".join(pieces), True
    return "".join(pieces) + gap[end:], False


def end_tags(gap: str) -> Iterator[tuple[int, str]]:
    """Yield where each end tag begins, and its name in lower case."""
    for piece in _PIECE.finditer(gap):
        if piece[2]:
            yield piece.start(), piece[2].lower()


def pieces(gap: str) -> Iterator[str]:
    """Yield text, what is none, text, and so on: together they are the gap, conditional comments included."""
    end = 0
    for piece in _ANY_PIECE.finditer(gap):
        yield gap[end : piece.start()]
        yield piece[0]
        end = piece.end()
    yield gap[end:]
