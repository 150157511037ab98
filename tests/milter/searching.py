"""css_inline's search for elements, as ``selectors`` 0.40 does it (matching.rs), with its steps counted.

A step is one compound tried on one element. Documents are parsed by lexbor, which is not what is judged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser, LexborNode

_MATCHED, _GLOBALLY, _DESCENDANT, _SIBLING = range(4)  # SelectorMatchingResult
_COMBINATOR = re.compile(r"([ >+~])")
_PART = re.compile(r"^([a-z0-9]*|\*)((?:\.\w+)*)$")


@dataclass(frozen=True)
class Element:
    """What a selector sees of an element."""

    tag: str
    classes: frozenset[str]
    parent: Element | None
    previous: Element | None
    number: int


def elements(html: str) -> list[Element]:
    """Return a document's elements in its order."""
    found: list[Element] = []

    def walk(node: LexborNode, parent: Element | None) -> None:
        previous: Element | None = None
        for child in node.iter():
            classes = (child.attributes.get("class") or "").split()
            number = int(child.attributes.get("gp") or -1)
            previous = Element(child.tag or "", frozenset(classes), parent, previous, number)
            found.append(previous)
            walk(child, previous)

    root = LexborHTMLParser(html).root
    assert root is not None
    top = Element(root.tag or "", frozenset(), None, None, -1)
    found.append(top)
    walk(root, top)
    return found


class Search:
    """Searches for one selector of tags, classes and combinators; ``steps`` is what that took."""

    def __init__(self, selector: str) -> None:
        pieces = _COMBINATOR.split(selector)
        self._compounds = [self._parsed(piece) for piece in pieces[::2]][::-1]
        self._combinators = pieces[1::2][::-1]
        self.steps = 0

    @staticmethod
    def _parsed(text: str) -> tuple[str, frozenset[str]]:
        match = _PART.match(text)
        assert match, text
        return match[1].strip("*"), frozenset(match[2].split(".")[1:])

    def found(self, among: list[Element]) -> list[int]:
        """Return the numbers of the elements that match."""
        tag, classes = self._compounds[0]
        # Elements come from an index of the last compound's tag or classes.
        tried = [one for one in among if tag in ("", one.tag) and (not classes or classes & one.classes)]
        return [one.number for one in tried if self._match(one, 0) == _MATCHED]

    def _match(self, element: Element, at: int) -> int:
        self.steps += 1
        tag, classes = self._compounds[at]
        if (tag and tag != element.tag) or not classes <= element.classes:
            return _SIBLING
        if at == len(self._combinators):
            return _MATCHED
        combinator = self._combinators[at]
        following = element
        while True:
            further = following.parent if combinator in " >" else following.previous
            if further is None:
                return _GLOBALLY if combinator in " >" else _DESCENDANT
            following = further
            result = self._match(following, at + 1)
            if result in (_MATCHED, _GLOBALLY) or combinator == "+":
                return result
            if combinator == ">":
                return _DESCENDANT
            if result == _DESCENDANT and combinator == "~":
                return result
