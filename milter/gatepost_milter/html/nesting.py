"""An upper bound of how deep a document nests, without building its tree.

An HTML parser nests at most as deep as tags open and do not certainly close: an end tag counts only if it
matches the innermost element, end tags that may be left out (HTML section 13.1.2.4) aside. Unclosed
formatting elements are bounded too, because a parser opens them again in every paragraph (section
13.2.4.3). Linear time; never raises.
"""

from __future__ import annotations

import re

# Documents with fewer start tags cannot be deep enough to matter.
UNMEASURED = 1000
# A recursive parser's stack holds ten times that; real mail nests about 60 deep.
DEPTH_MOST = 1000
# Each unclosed formatting element may come again for each tag after it.
CLONES_MOST = 500_000

_TAG = re.compile(r"<(/?)([a-zA-Z][^ \t\n\f\r/>]*+)")
_VOID = frozenset(
    (
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
    )
)
_FORMATTING = frozenset(
    ("a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u")
)
_LOOSE = frozenset(("p", "li", "dd", "dt", "option", "optgroup"))
_CELLS = frozenset(("td", "th"))
_ROWS = frozenset(("td", "th", "tr", "tbody", "thead", "tfoot", "caption", "colgroup"))
# What the start tag of the key closes when it is innermost.
_CLOSES = {
    "p": frozenset(("p",)),
    "li": frozenset(("p", "li")),
    "dd": frozenset(("p", "dd", "dt")),
    "dt": frozenset(("p", "dd", "dt")),
    "option": frozenset(("option",)),
    "td": _CELLS | _LOOSE,
    "th": _CELLS | _LOOSE,
    "tr": _CELLS | _LOOSE | {"tr"},
}
_BLOCKS = _LOOSE | frozenset(
    (
        "blockquote",
        "button",
        "center",
        "dl",
        "div",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "main",
        "ol",
        "section",
        "ul",
    )
)
_NOTHING = frozenset[str]()


def too_deep(text: str) -> str:
    """Return why a parser should not be given ``text``; empty if it may."""
    depth, formatting, tags = _measured(text)
    if depth > DEPTH_MOST:
        return f"elements nested more than {DEPTH_MOST} deep"
    if formatting * tags > CLONES_MOST:
        return f"{formatting} formatting elements left open among {tags} tags"
    return ""


def _measured(text: str) -> tuple[int, int, int]:
    """Return the greatest depth and number of open formatting elements, and the number of start tags."""
    lowered = text.lower()
    # In foreign content no end tag may be left out, and nothing is void.
    foreign = "<svg" in lowered or "<math" in lowered
    stack: list[str] = []
    deepest = formatting = formats = tags = 0
    for slash, word in _TAG.findall(lowered):
        if slash:
            formats -= _close(stack, word, foreign)
            continue
        tags += 1
        if not foreign:
            if word in _VOID:
                continue
            _pop(stack, _CLOSES.get(word, _NOTHING))
        stack.append(word)
        formats += word in _FORMATTING
        deepest, formatting = max(deepest, len(stack)), max(formatting, formats)
        if deepest > DEPTH_MOST:
            break
    return deepest, formatting, tags


def _pop(stack: list[str], names: frozenset[str]) -> None:
    while stack and stack[-1] in names:
        stack.pop()


def _close(stack: list[str], word: str, foreign: bool) -> int:
    """Take an end tag's element off the stack if it certainly ends; return 1 for a formatting element."""
    if foreign:
        implied = _NOTHING
    elif word == "table" or word in _ROWS:
        implied = _ROWS | _LOOSE
    else:
        # Formatting and unknown end tags stop at any block, also at one whose end tag was left out.
        implied = _LOOSE if word in _BLOCKS else _NOTHING
    place = len(stack)
    while place and stack[place - 1] != word and stack[place - 1] in implied:
        place -= 1
    if not place or stack[place - 1] != word:
        return 0
    del stack[place - 1 :]
    return word in _FORMATTING
