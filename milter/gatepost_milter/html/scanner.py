"""A tokenizer that knows where everything stands (HTML Living Standard section 13.2.5).

It finds start tags and the gaps between them, and reads comments, bogus comments (``<![if …]>``,
``<?…>``, CDATA outside foreign content), raw-text elements and end tags only to step over them. What stands
in a conditional comment ``<!--[if …]> … <![endif]-->`` is HTML to Outlook, so it is
scanned as a scan of its own. Attributes stay one raw text until somebody asks for one.

Linear time on any input: each alternative of the pattern starts with characters that no other
one accepts, runs of characters are possessive, and a tag or comment that never ends takes the
rest of the text with it, as the standard says. Possessive *groups* are avoided: they are
broken in Python before 3.11.5 (gh-106052). Nothing here fails.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TypeAlias

WS = r"[ \t\n\f\r]"
VALUE = r"""(?:"[^"]*+"|'[^']*+'|[^ \t\n\f\r>"'][^ \t\n\f\r>]*+|(?=>))"""
# An attribute with what stands before it. A name followed by "=" must have a value: an open quote never ends.
ATTRIBUTE = rf"[ \t\n\f\r/]*+[^ \t\n\f\r/>][^ \t\n\f\r/>=]*+(?:{WS}*+={WS}*+{VALUE}|(?!{WS}*+=))"
ATTRIBUTES = rf"(?:{ATTRIBUTE})*[ \t\n\f\r/]*+"
NAME = r"[a-zA-Z][^ \t\n\f\r/>]*+"
COMMENT_REST = r"(?:-?>|(?:[^-]++|-(?!-!?>))*--!?>)"
_GAP = (
    # Most end tags are just a name; the look-ahead keeps the two forms apart.
    rf"(?:[^<]++|</{NAME}(?:>|(?=[ \t\n\f\r/]){ATTRIBUTES}>)"
    rf"|<!--(?!\[[iI][fF]){COMMENT_REST}|<!(?!--)[^>]*+>|<\?[^>]*+>"
    r"|</[^a-zA-Z>][^>]*+>|</>|<+(?=<)|<(?![a-zA-Z/!?]))*"
)
# noscript is none of them: mail programs run no scripts, and show what stands in it.
# The first look spares most tags the list.
_RAW = (
    r"(?=[sSxXnNiIpP]|[tT][iIeE])"
    r"(?i:script|style|title|textarea|xmp|iframe|noembed|noframes|plaintext)(?=[ \t\n\f\r/>])"
)
_TOKEN = re.compile(
    rf"({_GAP})(?:<({_RAW})({ATTRIBUTES})>((?:[^<]++|<(?!/(?i:\2)[ \t\n\f\r/>]))*)"
    rf"|<({NAME})({ATTRIBUTES})>|(<!--\[(?i:if){COMMENT_REST})|([\s\S]*+))"
)
_CONDITION = re.compile(r"<!--\[[iI][fF][^\]>]*+\]>")

# Offset of "<", name in lower case, raw attributes, gap before it (without raw text, conditional comments).
Tag: TypeAlias = tuple[int, str, str, str]


@dataclass(slots=True)
class Style:
    """A ``<style>`` element: raw attributes, content and where that starts."""

    attributes: str
    content: str
    start: int = 0


@dataclass(slots=True)
class Conditional:
    """A conditional comment: it stands in the gap before ``tags[index]``, ``gap`` characters into it.

    ``condition`` is in lower case, its white space single blanks.
    """

    index: int
    gap: int
    scan: Scan
    condition: str = ""


@dataclass(slots=True)
class Scan:
    """The start tags of one text in order, and what else features ask for.

    Offsets count from the start of the whole part, also in the scan of a conditional comment. ``tail`` is
    the gap after the last tag, which begins at ``tail_start``. ``open_end``: the text ends within a tag, a
    comment or a raw-text element. ``revealed``: where a ``<!--[if …]><!-->`` stands, as for
    ``Conditional``.
    """

    tags: list[Tag] = field(default_factory=list[Tag])
    tail: str = ""
    tail_start: int = 0
    styles: list[Style] = field(default_factory=list[Style])
    conditionals: list[Conditional] = field(default_factory=list[Conditional])
    open_end: bool = False
    revealed: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])


def scan(text: str, offset: int = 0) -> Scan:
    """Return the scan of ``text``, whose first character stands at ``offset`` of the part."""
    result = Scan(tail_start=offset)
    tags = result.tags
    position, end, whole = offset, offset + len(text), 0
    pending: list[str] = []
    for gap, raw_name, raw_attributes, raw, name, attributes, comment, rest in _TOKEN.findall(text):
        position += len(gap)
        if pending and (name or raw_name):
            pending.append(gap)
            gap = "".join(pending)  # noqa: PLW2901  # the name stays right: a gap may come in pieces
            pending.clear()
        if name:
            tags.append((position, name.lower(), attributes, gap))
            position += len(name) + len(attributes) + 2
            result.tail_start = position
        elif raw_name:
            tags.append((position, raw_name.lower(), raw_attributes, gap))
            position += len(raw_name) + len(raw_attributes) + 2
            if raw_name.lower() == "style":
                result.styles.append(Style(raw_attributes, raw, position))
            elif raw_name.lower() == "plaintext":
                result.open_end = True
                break
            position += len(raw)
            result.tail_start = position
            result.open_end = position == end
        else:
            pending.append(gap)
            whole = len(gap) if len(pending) == 1 else whole + len(gap)
            if comment:
                _conditional(result, comment, position, whole)
            result.open_end = result.open_end or rest != ""
            position += len(comment) + len(rest)
    result.tail = "".join(pending)
    return result


def scan_conditional(comment: str, position: int) -> list[Tag]:
    """Return the tags in a conditional comment that stands at ``position``."""
    condition = _CONDITION.match(comment)
    inner = "" if condition is None else comment[condition.end() : -3]
    return scan(inner, position + (condition.end() if condition else 0)).tags


def _conditional(result: Scan, comment: str, position: int, gap: int) -> None:
    """Scan what a conditional comment holds, if it holds any tag."""
    condition = _CONDITION.match(comment)
    if condition is None:
        return
    inner = comment[condition.end() : -3]
    if inner.strip() in ("", "<!", "<!--"):
        result.revealed.append((len(result.tags), gap))
    elif "<" in inner:
        told = " ".join(condition[0][5:-2].lower().split())
        inner_scan = scan(inner, position + condition.end())
        result.conditionals.append(Conditional(len(result.tags), gap, inner_scan, told))
