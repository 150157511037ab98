"""An upper bound of how deep a document nests, without building its tree.

An HTML parser nests at most as deep as tags open and do not certainly close: an end tag counts only if it
matches the innermost element, end tags that may be left out (HTML section 13.1.2.4) aside. Unclosed
formatting elements are bounded too, because a parser opens them again in every paragraph (section
13.2.4.3). Linear time; never raises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

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
_ALONE = frozenset(("a", "nobr"))  # its start tag ends one that is open, wherever
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


@dataclass(slots=True)
class Measure:
    """What ``measure`` found: an upper bound of each number.

    ``depths`` has one for each start tag, in order: how many elements it stands in, itself included, without
    those that a parser adds (it adds at most as many again). ``clones``: elements that come again. ``ends``:
    end tags.
    """

    deepest: int = 0
    formatting: int = 0
    tidy: bool = True
    ends: int = 0
    depths: list[int] = field(default_factory=list[int])

    @property
    def clones(self) -> int:
        """How many elements a parser may add for formatting elements not closed where they should be."""
        return 0 if self.tidy else self.formatting * len(self.depths)

    @property
    def fault(self) -> str:
        """Why a parser should not be given the document; empty if it may."""
        if self.deepest > DEPTH_MOST:
            return f"elements nested more than {DEPTH_MOST} deep"
        if self.formatting * len(self.depths) > CLONES_MOST:
            return f"{self.formatting} formatting elements left open among {len(self.depths)} tags"
        return ""


def measure(text: str) -> Measure:
    """Return how deep a document nests at most. It stops where it is too deep."""
    found = Measure()
    lowered = text.lower()
    # In foreign content no end tag may be left out, and nothing is void.
    foreign = "<svg" in lowered or "<math" in lowered
    stack = _Open()
    formats = 0
    for slash, word in _TAG.findall(lowered):
        if slash:
            found.ends += 1
            closed = stack.close(word, foreign)
            formats -= closed and word in _FORMATTING
            found.tidy = found.tidy and (closed or not formats)
            continue
        if not foreign:
            if word in _VOID:
                found.depths.append(len(stack.words) + 1)
                continue
            stack.pop_all(_CLOSES.get(word, _NOTHING))
        stack.push(word)
        formats += word in _FORMATTING
        if formats and (word in _BLOCKS or (word in _ALONE and stack.count(word) > 1)):
            found.tidy = False
        depth = len(stack.words)
        found.depths.append(depth)
        if depth > found.deepest:
            found.deepest = depth
            if depth > DEPTH_MOST:
                break
        found.formatting = max(found.formatting, formats)
    return found


class _Open:
    """The elements that are open.

    Each has beside it the place of the last one that does not end by itself, where loose elements do and
    where parts of a table do: so no end tag has to look through the whole stack.
    """

    def __init__(self) -> None:
        self.words: list[str] = []
        self._places: dict[str, list[int]] = {}
        self._loose: list[int] = []
        self._rows: list[int] = []

    def push(self, word: str) -> None:
        """Open an element."""
        place = len(self.words)
        self.words.append(word)
        self._places.setdefault(word, []).append(place)
        loose = word in _LOOSE
        self._loose.append(self._loose[-1] if loose and place else -1 if loose else place)
        row = loose or word in _ROWS
        self._rows.append(self._rows[-1] if row and place else -1 if row else place)

    def count(self, word: str) -> int:
        """Return how many of this name are open."""
        return len(self._places.get(word, ()))

    def pop_all(self, names: frozenset[str]) -> None:
        """Close those of these names that are innermost."""
        while self.words and self.words[-1] in names:
            self._pop()

    def close(self, word: str, foreign: bool) -> bool:
        """Close the element of an end tag if it certainly ends, and those in it. Says whether it does."""
        places = self._places.get(word)
        if not places:
            return False
        if foreign:
            firm = len(self.words) - 1
        elif word == "table" or word in _ROWS:
            firm = self._rows[-1]
        else:
            # Formatting and unknown end tags stop at any block, also at one whose end tag was left out.
            firm = self._loose[-1] if word in _BLOCKS else len(self.words) - 1
        if places[-1] < firm:
            return False
        for _ in range(len(self.words) - places[-1]):
            self._pop()
        return True

    def _pop(self) -> None:
        self._places[self.words.pop()].pop()
        self._loose.pop()
        self._rows.pop()
