"""Selectors read (Selectors Level 4), and written again as what css_inline is asked.

Classes, ids and attributes become *tests* with numbers, which the copy carries as its only classes
(``view``): so whatever a document holds, css_inline sees tags, combinators, structural pseudo-classes and
classes of ours. What a selector asks beyond that (states, ``:is()``, ``:has()``) is left out of what is
asked, which then finds more elements than the selector means: enough to know where a rule may compete. Linear
time; nothing here fails.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TypeAlias

from gatepost_milter.css.syntax import COMMENT
from gatepost_milter.html.csstext import unescaped

_ESCAPE = r"\\(?:[0-9a-fA-F]{1,6}+(?:\r\n|[ \t\n\r\f])?|[^\n\r\f0-9a-fA-F])"
# No possessive groups: they are broken in Python before 3.11.5 (gh-106052).
_LETTER = rf"(?:[\w-]|[^\x00-\x7f]|{_ESCAPE})"
_IDENT = rf"(?:--{_LETTER}*|-?(?:[a-zA-Z_]|[^\x00-\x7f]|{_ESCAPE}){_LETTER}*)"
_WS = r"[ \t\n\r\f\x00]*+"
_PIECE = re.compile(
    rf"(?P<space>[ \t\n\r\f]+)|(?P<comma>,)|(?P<combinator>[>+~])|\.(?P<class>{_IDENT})|\#(?P<id>{_IDENT})"
    rf"|\[{_WS}(?P<attribute>{_IDENT}){_WS}(?:(?P<operator>[~|^$*]?=){_WS}(?P<value>'[^']*'|{_IDENT}){_WS}(?P<flag>[iIsS]?){_WS})?\]"
    rf"|:(?P<pseudo>:?{_IDENT})(?P<function>\()?|(?P<type>{_IDENT}|\*)|(?P<comment>{COMMENT})|(?P<other>.)",
    re.ASCII | re.DOTALL,
)
_PARENTHESES = re.compile(r"'[^']*'|\\.|[()]", re.DOTALL)
_NTH = re.compile(r"even|odd|[+-]?\d+|[+-]?\d*n(?:[ ]*[+-][ ]*\d+)?")
_STRUCTURAL = frozenset(("first-child", "last-child", "only-child", "empty", "root"))
_OF_TYPE = frozenset(("first-of-type", "last-of-type", "only-of-type"))
_COUNTING = frozenset(("nth-child", "nth-last-child", "nth-of-type", "nth-last-of-type"))
# Known to every browser, and true at times only.
_STATES = frozenset(("hover", "active", "focus", "visited", "target", "checked", "disabled", "enabled"))
_PSEUDO_ELEMENTS = frozenset(("before", "after", "first-line", "first-letter"))
_LINKS = frozenset(("link", "any-link"))
# Attributes whose values HTML compares in any case (HTML section 4.16.2).
_ANY_CASE = frozenset(
    (
        "accept",
        "accept-charset",
        "align",
        "alink",
        "axis",
        "bgcolor",
        "charset",
        "checked",
        "clear",
        "codetype",
        "color",
        "compact",
        "declare",
        "defer",
        "dir",
        "direction",
        "disabled",
        "enctype",
        "face",
        "frame",
        "hreflang",
        "http-equiv",
        "lang",
        "language",
        "link",
        "media",
        "method",
        "multiple",
        "nohref",
        "noresize",
        "noshade",
        "nowrap",
        "readonly",
        "rel",
        "rev",
        "rules",
        "scope",
        "scrolling",
        "selected",
        "shape",
        "target",
        "text",
        "type",
        "valign",
        "valuetype",
        "vlink",
    )
)
_PLAIN_TAG = re.compile(r"[a-z][a-z0-9]*")
# The specificity of what nobody can rank: above all others.
UNRANKED = (1 << 30, 0, 0)

# Kind ("class", "id", "tag", "attribute"), name, operator, value, in any case.
Test: TypeAlias = tuple[str, str, str, str, bool]
Specificity: TypeAlias = tuple[int, int, int]


class Numbering:
    """The tests of one set of sheets, and their numbers. ``quirks``: classes and ids in any case."""

    def __init__(self, *, quirks: bool) -> None:
        self.quirks = quirks
        self.links = False
        self.ahead = False  # a selector looks at what follows an element
        self.numbers: dict[Test, str] = {}

    def number(
        self, kind: str, name: str, operator: str = "", value: str = "", *, any_case: bool = False
    ) -> str:
        """Return the class that stands for a test."""
        if self.quirks and kind in ("class", "id"):
            name = lowered(name)
        return self.numbers.setdefault((kind, name, operator, value, any_case), f"t{len(self.numbers)}")


def lowered(text: str) -> str:
    """Return a text in lower case as HTML means it: ASCII alone."""
    return text.lower() if text.isascii() else "".join(c.lower() if c.isascii() else c for c in text)


@dataclass(slots=True)
class Selector:
    """One complex selector.

    ``text`` is what css_inline is asked; ``exact``: it finds just what the selector means. ``elsewhere``:
    what it styles is no element. ``known``: every browser knows all of it. ``words``: tags and tests that a
    document needs to have for it; ``last``: those of the element that is styled. ``compounds``, ``descends``,
    ``siblings`` and ``counting`` (kinds of nth-child and the like) are for ``weight``.
    """

    text: str = ""
    exact: bool = True
    known: bool = True
    elsewhere: bool = False
    specificity: Specificity = (0, 0, 0)
    words: frozenset[str] = frozenset()
    last: frozenset[str] = frozenset()
    compounds: int = 1
    descends: bool = False
    siblings: bool = False
    counting: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Compound:
    tag: str = ""
    parts: list[str] = field(default_factory=list[str])
    words: list[str] = field(default_factory=list[str])
    begun: bool = False

    def text(self) -> str:
        return self.tag + "".join(self.parts) or "*"


class SelectorError(ValueError):
    """A text is no selector list in any browser."""


def read(text: str, tests: Numbering) -> list[Selector]:
    """Return the selectors of a prelude. Raises SelectorError."""
    reader = _Reader(text, tests)
    position = 0
    while position < len(text):
        piece = _PIECE.match(text, position)
        if piece is None:
            raise SelectorError(text)
        position = reader.take(piece)
    return reader.end()


class _Reader:
    def __init__(self, text: str, tests: Numbering) -> None:
        self._text = text
        self._tests = tests
        self._done: list[Selector] = []
        self._begin()

    def _begin(self) -> None:
        self._new = Selector()
        self._pieces: list[str] = []
        self._words: list[str] = []
        self._compound = _Compound()
        self._combinator = ""  # between the last compound and the one to come
        self._space = False

    def take(self, piece: re.Match[str]) -> int:
        """Take one piece; return where the next begins. Raises SelectorError."""
        kind = piece.lastgroup
        if kind == "space":
            self._space = self._compound.begun
        elif kind == "comma":
            self._finish()
            self._begin()
        elif kind == "combinator":
            self._combine(piece[0])
        elif kind != "comment":
            if self._space:
                self._combine(" ")
            if self._new.elsewhere and kind != "pseudo":
                raise SelectorError(self._text)
            return self._simple(piece)
        return piece.end()

    def end(self) -> list[Selector]:
        self._finish()
        return self._done

    def _combine(self, combinator: str) -> None:
        """End the compound under way. A combinator without one before it, or two of them, are no selector."""
        if not self._compound.begun or self._new.elsewhere:
            raise SelectorError(self._text)
        self._add(self._compound)
        self._pieces.append(combinator)
        self._new.compounds += 1
        self._new.descends = self._new.descends or combinator == " "
        self._new.siblings = self._new.siblings or combinator == "~"
        self._compound = _Compound()
        self._space = False

    def _add(self, compound: _Compound) -> None:
        self._pieces.append(compound.text())
        self._words += compound.words

    def _finish(self) -> None:
        if not self._compound.begun:
            raise SelectorError(self._text)
        self._add(self._compound)
        new = self._new
        new.text = "".join(self._pieces)
        new.words = frozenset(self._words)
        new.last = frozenset(self._compound.words)
        self._done.append(new)

    def _simple(self, piece: re.Match[str]) -> int:
        compound = self._compound
        begun, compound.begun = compound.begun, True
        if piece["type"]:
            if begun:
                raise SelectorError(self._text)
            self._type(unescaped(piece["type"]).lower())
        elif piece["class"]:
            self._test(self._tests.number("class", unescaped(piece["class"])), 1)
        elif piece["id"]:
            self._test(self._tests.number("id", unescaped(piece["id"])), 0)
        elif piece["attribute"]:
            self._attribute(piece)
        elif piece["pseudo"]:
            return self._pseudo(piece)
        elif piece["other"] == "&":
            self._unknown()
        elif piece["other"] == "|":  # what stood before it was a namespace
            self._unknown()
            self._compound = _Compound()
        else:
            raise SelectorError(self._text)
        return piece.end()

    def _type(self, name: str) -> None:
        if name == "*":
            return
        self._count(2)
        if _PLAIN_TAG.fullmatch(name):
            self._compound.tag = name
            self._compound.words.append(name)
        else:
            self._test(self._tests.number("tag", name), None)

    def _test(self, number: str, column: int | None) -> None:
        self._compound.parts.append(f".{number}")
        self._compound.words.append(number)
        if column is not None:
            self._count(column)

    def _count(self, column: int) -> None:
        a, b, c = self._new.specificity
        self._new.specificity = (a + (column == 0), b + (column == 1), c + (column == 2))

    def _attribute(self, piece: re.Match[str]) -> None:
        name = lowered(unescaped(piece["attribute"]))
        if name == "style":  # the copy has none, and what is written changes it
            self._count(1)
            self._new.exact = False
            return
        operator = piece["operator"] or ""
        value = piece["value"] or ""
        value = unescaped(value[1:-1] if value.startswith("'") else value)
        flag = (piece["flag"] or "").lower()
        any_case = bool(operator) and (flag == "i" or (name in _ANY_CASE and flag != "s"))
        value = lowered(value) if any_case else value
        self._test(self._tests.number("attribute", name, operator, value, any_case=any_case), 1)

    def _pseudo(self, piece: re.Match[str]) -> int:
        name = lowered(unescaped(piece["pseudo"]))
        if piece["function"]:
            return self._function(name, piece.end())
        if name.lstrip(":") in _PSEUDO_ELEMENTS:
            self._new.elsewhere = True
            self._count(2)
        elif name.startswith(":"):
            # Whose browser knows it? Not every one.
            self._new.elsewhere = True
            self._new.known = False
        elif name in _STRUCTURAL or name in _LINKS:
            self._tests.links = self._tests.links or name in _LINKS
            self._exact(":link" if name in _LINKS else f":{name}")
        elif name in _OF_TYPE:
            self._new.counting |= {name}
            self._exact(f":{name}")
        else:
            self._count(1)
            self._new.exact = False
            self._new.known = self._new.known and name in _STATES
        return piece.end()

    def _exact(self, text: str) -> None:
        self._tests.ahead = self._tests.ahead or "last" in text or "only" in text or text == ":empty"
        self._compound.parts.append(text)
        self._count(1)

    def _function(self, name: str, start: int) -> int:
        """Take a functional pseudo-class whose argument begins at ``start``; return where it ends."""
        end = _closing(self._text, start)
        argument = lowered(self._text[start:end].strip(" \t\n\r\f\0"))
        if name in _COUNTING and _NTH.fullmatch(argument):
            self._new.counting |= {name}
            self._exact(f":{name}({argument})")
        elif name == "not":
            self._not(self._text[start:end])
        else:
            self._unknown()
        return min(end + 1, len(self._text))

    def _not(self, argument: str) -> None:
        """Take ``:not()`` of simple compounds; of anything else it is left out."""
        inner: list[Selector] = []
        if "(" not in argument:
            try:
                inner = read(argument, self._tests)
            except SelectorError:
                inner = []
        usual = [one for one in inner if one.exact and one.known and not one.elsewhere and one.compounds == 1]
        if not inner or len(usual) < len(inner):
            self._unknown()
            return
        self._compound.parts += (f":not({one.text})" for one in inner)
        self._new.counting = self._new.counting.union(*(one.counting for one in inner))
        a, b, c = max(one.specificity for one in inner)
        d, e, f = self._new.specificity
        self._new.specificity = (a + d, b + e, c + f)

    def _unknown(self) -> None:
        self._new.exact = self._new.known = False
        self._new.specificity = UNRANKED


def _closing(text: str, start: int) -> int:
    """Return where the parenthesis closes that was opened before ``start``."""
    depth = 1
    for sign in _PARENTHESES.finditer(text, start):
        depth += {"(": 1, ")": -1}.get(sign[0], 0)
        if not depth:
            return sign.start()
    return len(text)
