"""One attribute out of a tag's raw attributes (HTML Living Standard section 13.2.5.32 and on).

The first of several with one name counts. A value keeps its place and its raw text; ``decode``
gives its meaning. Nothing here fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import unescape
from html.entities import html5
from typing import NamedTuple

from gatepost_milter.html.scanner import ATTRIBUTE, WS

_REFERENCE = re.compile(r"&(?:#([0-9]+);?|#[xX]([0-9a-fA-F]+);?|([a-zA-Z][a-zA-Z0-9]*;?)(=?))")
_LONG_NUMBER = re.compile(r"&#[0-9]{4000,}+")
_MOST_DIGITS = 8


class Value(NamedTuple):
    """An attribute's value: offsets within the raw attributes, quotes left out; ``quote`` may be empty."""

    start: int
    end: int
    raw: str
    quote: str


class Finder:
    """Finds the attribute of one name."""

    def __init__(self, name: str) -> None:
        word = rf"(?i:{re.escape(name)})(?=[ \t\n\f\r/>=]|\Z)"
        self._find = re.compile(
            rf"(?:(?![ \t\n\f\r/]*+{word}){ATTRIBUTE})*[ \t\n\f\r/]*+{word}"
            rf"""{WS}*+={WS}*+(?:"([^"]*+)"|'([^']*+)'|([^ \t\n\f\r>"'][^ \t\n\f\r>]*+))"""
        )

    def __call__(self, attributes: str) -> Value | None:
        """Return the value, or None if the attribute is missing or has none."""
        found = self._find.match(attributes)
        if found is None or not (group := found.lastindex):
            return None
        start, end = found.span(group)
        return Value(start, end, found[group], ('"', "'", "")[group - 1])

    def starts(self, tags: Iterable[str]) -> list[tuple[int, str] | None]:
        """Return for the attributes of each tag where the value starts, and what it is; None as above."""
        return [
            (found.start(group), found[group]) if found and (group := found.lastindex) else None
            for found in map(self._find.match, tags)
        ]


def decode(raw: str) -> str:
    """Return what a raw value means, by the rules for attributes: ``?a=1&copy=3`` stays as it is."""
    if "&" not in raw:
        return raw
    if raw.count("&") == raw.count("&amp;"):
        return raw.replace("&amp;", "&")
    return _REFERENCE.sub(_decoded, raw)


def unescaped(text: str) -> str:
    """Return what a text between tags means: ``html.unescape``, which raises at numbers of 4,300 digits."""
    return unescape(_LONG_NUMBER.sub("&#x110000", text) if "&#" in text else text)


def _decoded(match: re.Match[str]) -> str:
    decimal, hexadecimal, name, equals = match.groups()
    if name is not None:
        # Without its semicolon a name counts only if neither "=" nor a letter or digit follows.
        known = html5.get(name) if name.endswith(";") or not equals else None
        return match[0] if known is None else known + equals
    digits = (decimal or hexadecimal).lstrip("0")
    if len(digits) > _MOST_DIGITS:
        return "\ufffd"
    return _character(int(digits or "0", 10 if decimal else 16))


def _character(number: int) -> str:
    """Return the character of a numeric reference (section 13.2.5.80: a few are replaced)."""
    if number == 0 or number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
        return "\ufffd"
    if 0x80 <= number <= 0x9F:
        return bytes([number]).decode("cp1252", "replace")
    return chr(number)
