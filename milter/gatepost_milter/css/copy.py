"""The copies of an HTML part that css_inline calculates on, and what it finds.

Each tag has its number in an attribute, each selector its number as a property. Nothing else of the document
or its sheets is in a copy, so nothing there can pose as a result, be fetched, or be read in two ways.
Elements in conditional comments are found in a second copy in which those comments are opened.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from gatepost_milter.css.book import Book, Entry
from gatepost_milter.css.calculator import CalculatorError, Compute
from gatepost_milter.css.view import Skeleton, View, skeleton
from gatepost_milter.css.weight import Census, weigh
from gatepost_milter.html.nesting import measure
from gatepost_milter.html.scanner import Scan, Tag

_MARK = "gp"
# css_inline adds its style last, but may move other attributes behind the mark.
_RESULT = re.compile(rf' {_MARK}="(\d+)"(?: (?!style=)[^\s="]+="[^"]*")* style="([^"]*)"')
_NUMBER = re.compile(rf' {_MARK}="(\d+)"')
_PROPERTY = re.compile(r"g(\d+):")
_RAW = frozenset(("script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes"))
_DOCTYPE = "<!DOCTYPE html>"

# The part (0) or the conditional comment (from 1), and the tag's place there.
Place: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Calculation:
    """One question to css_inline: document, sheet, the steps that it takes at most, whose numbers."""

    html: str
    css: str
    steps: int
    places: dict[int, Place] | range

    def matching(self, compute: Compute) -> Iterator[tuple[Place, str]]:
        """Yield each element that selectors match, and which (for ``entries``). Raises CalculatorError."""
        result = compute(self.html, self.css, self.steps)
        styled = _RESULT.findall(result)
        differing = _differing(_NUMBER.findall(result), styled)
        seen: set[int] = set()
        for word, found in styled:
            number = int(word)
            if number in self.places and number not in seen and word not in differing:
                seen.add(number)
                yield (self.places[number] if isinstance(self.places, dict) else (0, number)), found


def _differing(numbers: list[str], styled: list[tuple[str, str]]) -> frozenset[str]:
    """Return the numbers of tags from which a parser made several elements that do not match the same.

    It does so with formatting elements that are not closed where they were opened (HTML section 13.2.4.3).
    """
    if len(set(numbers)) == len(numbers):
        return frozenset()
    of_all, of_styled = Counter(numbers), Counter(word for word, _ in styled)
    kinds: dict[str, set[str]] = {}
    for word, found in styled:
        kinds.setdefault(word, set()).add(found)
    return frozenset(
        word for word, number in of_all.items() if len(kinds.get(word, ())) > 1 or of_styled[word] % number
    )


def entries(book: Book, found: str) -> list[Entry]:
    """Return the entries that ``Calculation.matching`` names."""
    return [book.entries[int(number)] for number in _PROPERTY.findall(found)]


class Copy:
    """A copy under construction: ``add`` what it is made of, then ask for its ``calculation``."""

    def __init__(self, book: Book, *, quirks: bool) -> None:
        self._book = book
        self._pieces: list[str] = [] if quirks else [_DOCTYPE]
        self._words: list[tuple[str, ...]] = []

    def add(self, tags: list[Tag], pieces: Iterable[str]) -> range:
        """Add tags, ``pieces`` being those of their skeleton; return their numbers."""
        first = len(self._words)
        kept = self._book.view.kept
        for number, (tag, piece) in enumerate(zip(tags, pieces, strict=True), first):
            name = tag[1]
            if piece.endswith("/"):
                self._pieces.append(f'{piece[:-1]} {_MARK}="{number}"/>')
            else:
                self._pieces.append(f'{piece} {_MARK}="{number}">')
            if name in _RAW:  # their text is not there; an end tag more does nothing
                self._pieces.append(f"</{name}>")
            self._words.append(words(name, kept(name, tag[2])))
        return range(first, len(self._words))

    def add_text(self, bare: str) -> None:
        """Add what stands between tags."""
        self._pieces.append(bare)

    def calculation(self, places: dict[int, Place] | range) -> Calculation:
        """Return what to ask. Raises CalculatorError for a document that is not safe to parse."""
        html = "".join(self._pieces)
        measured = measure(html)
        if measured.fault:
            raise CalculatorError(measured.fault)
        census = Census(self._words, measured, html)
        asked = [
            (at, each.selector) for at, each in enumerate(self._book.entries) if census.has(each.selector)
        ]
        css = "".join([f"{selector.text}{{g{at}:1}}" for at, selector in asked])
        return Calculation(html, css, weigh([selector for _, selector in asked], census), places)


def words(name: str, kept: str) -> tuple[str, ...]:
    """Return what selectors may ask of a tag: its name, and the numbers of tests (from ``View.kept``)."""
    return (name, *kept.split('"', 2)[1].split()) if '"' in kept else (name,)


def main_calculation(scan: Scan, book: Book, whole: Skeleton, *, quirks: bool) -> Calculation:
    """Return the question about a part without its conditional comments. Raises CalculatorError."""
    copy = Copy(book, quirks=quirks)
    numbers = copy.add(scan.tags, whole.pieces)
    copy.add_text(whole.tail)
    return copy.calculation(numbers)


def conditional_calculation(
    scan: Scan, book: Book, whole: Skeleton, count: int, *, quirks: bool
) -> Calculation:
    """Return the question about the first ``count`` conditional comments, opened. Raises CalculatorError.

    Unless a selector looks ahead the copy ends with the last comment: what follows changes nothing before it.
    """
    view = book.view
    copy = Copy(book, quirks=quirks)
    places: dict[int, Place] = {}
    place = used = 0  # the next tag, and how much of the gap before it is in the copy
    for order, conditional in enumerate(scan.conditionals[:count], 1):
        if conditional.index > place:
            copy.add(
                scan.tags[place : conditional.index],
                _pieces(scan, view, whole, place, conditional.index, used),
            )
            place, used = conditional.index, 0
        gap = scan.tags[place][3] if place < len(scan.tags) else scan.tail
        copy.add_text(view.bare(gap[used : conditional.gap]))
        used = conditional.gap
        own = skeleton(conditional.scan, view)
        numbers = copy.add(conditional.scan.tags, own.pieces)
        places.update((number, (order, at)) for at, number in enumerate(numbers))
        copy.add_text(own.tail)
    if book.ahead:
        copy.add(scan.tags[place:], _pieces(scan, view, whole, place, len(scan.tags), used))
        copy.add_text(view.bare(scan.tail[used if place == len(scan.tags) else 0 :]))
    return copy.calculation(places)


def _pieces(scan: Scan, view: View, whole: Skeleton, start: int, end: int, used: int) -> list[str]:
    """Return some tags' pieces; of the first one's gap, ``used`` characters are there already."""
    pieces = whole.pieces[start:end]
    if used and pieces:
        gap = scan.tags[start][3]
        pieces[0] = view.bare(gap[used:]) + pieces[0].removeprefix(view.bare(gap))
    return pieces
