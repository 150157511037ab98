"""What css_inline's work on a copy takes, before it is begun: an upper bound, in steps (about 15 ns each).

How it searches, read in css_inline 0.24 and selectors 0.40 (``matching.rs``), and held against counts in the
tests:

* A selector is tried on the elements with its last compound's tag or class, from right to left.
* A loop over ancestors or earlier siblings is entered once: when an inner one finds no more, the outer ones
  give up as well. So an element costs its depth at most, or with "~" all elements before it, times one and
  the longest run of ">" and "+", each of which is tried anew for each round.
* Indexes of ``:nth-…`` are kept, but each may be counted from the first sibling on.
* Properties of an element are sought one by one: the square of what matches it.
* The parser looks through the open elements at each tag.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from gatepost_milter.css.selectors import Selector
from gatepost_milter.html.nesting import Measure

# What one message may cost in all, about 0.1 s; and what is computed while Python's lock is held, at most 1.5
# ms.
STEPS_MOST = 6_000_000
AT_ONCE_MOST = 100_000
_ELEMENT = 70  # parsed, indexed and written again
_SELECTOR = 40  # read
_TRY = 3
_MATCH = 8
_RUNS = re.compile(r"[ ~]")
# What a parser adds to a document of these tags.
_ADDS = {"tbody": ("table", "tr"), "tr": ("td", "th"), "colgroup": ("col",), "img": ("image",)}
_WHOLE = frozenset(("html", "head", "body"))


class Census:
    """The elements of a copy, by tag and test: how many, and how deep they stand in sum."""

    def __init__(self, words: Iterable[tuple[str, ...]], measure: Measure, html: str) -> None:
        """Take the words (tag and tests) of each start tag, in the order of ``measure``'s depths."""
        self.measure = measure
        self.count: Counter[str] = Counter()
        self.depth: Counter[str] = Counter()
        self.kinds: Counter[tuple[str, ...]] = Counter()
        deep: Counter[tuple[str, ...]] = Counter()
        for kind, depth in zip(words, measure.depths, strict=False):
            self.kinds[kind] += 1
            deep[kind] += depth
        for kind, number in self.kinds.items():
            for word in kind:
                self.count[word] += number
                self.depth[word] += deep[kind]
        self._add(html)
        self.elements = sum(self.kinds.values()) + 3 + self.added + measure.clones
        self.total_depth = sum(deep.values()) + self.added * (measure.deepest + 1) + 3
        self.bytes = len(html)

    def _add(self, html: str) -> None:
        """Add what a parser makes of its own accord."""
        new = {name: sum(self.count[one] for one in sources) for name, sources in _ADDS.items()}
        new |= dict.fromkeys(_WHOLE, 1)
        new |= {"p": html.count("</p"), "br": html.count("</br")}
        self.added = sum(new.values())
        for name, number in new.items():
            self.count[name] += number
            self.depth[name] += number * (self.measure.deepest + 1)

    def has(self, selector: Selector) -> bool:
        """Say whether the document has what a selector needs."""
        return all(self.count.get(word) for word in selector.words)


def weigh(selectors: list[Selector], census: Census) -> int:
    """Return the steps that css_inline takes at most for these selectors."""
    measure, elements = census.measure, census.elements
    tags = len(measure.depths) + measure.ends
    steps = elements * _ELEMENT + census.bytes // 4 + tags * (2 * measure.deepest + 3) // 3
    hits: Counter[str] = Counter()
    counted: set[str] = set()
    for selector in selectors:
        word = min(selector.last, key=census.count.__getitem__) if selector.last else ""
        hits[word] += 1
        steps += _SELECTOR + _search(selector, word, census)
        if selector.counting and selector.compounds > 1:
            counted |= selector.counting
        steps += elements * len(selector.counting)
    steps += len(counted) * elements * elements // 2
    for kind, number in census.kinds.items():
        most = hits[""] + sum(hits[word] for word in kind)
        steps += number * (most * _MATCH + most * most // 10)
    # Elements without a start tag of their own are of no kind: whatever could match them.
    most = hits[""] + max((hits[word] for word in (*_ADDS, *_WHOLE, "p", "br")), default=0)
    return steps + (census.added + 3) * (most * _MATCH + most * most // 10)


def _search(selector: Selector, word: str, census: Census) -> int:
    """Return the steps for one selector whose last compound has ``word``."""
    clones = census.measure.clones
    tried = (census.count[word] if word else census.elements) + clones
    if selector.compounds == 1:
        return tried * _TRY
    run = 1 + max(each.count(">") + each.count("+") for each in _RUNS.split(selector.text))
    if selector.siblings:
        return tried * (_TRY + census.elements * run)
    if not selector.descends:
        return tried * (_TRY + run)
    deep = census.depth[word] if word else census.total_depth
    # The parser may add as many ancestors again.
    return tried * _TRY + (2 * deep + 3 * tried + clones * census.measure.deepest * 2) * run


class Allowance:
    """What is left of one message's steps, and what was found with them, for another attempt at the message.

    Parts are known by a hash; what was granted once for a part is not counted again.
    """

    def __init__(self, steps: int = STEPS_MOST) -> None:
        self.known: dict[int, Any] = {}
        self._left = steps
        self._granted: set[int] = set()

    def take(self, steps: int, part: int) -> bool:
        """Say whether ``steps`` are still allowed for a part, and take them."""
        if part in self._granted:
            return True
        if steps > self._left:
            return False
        self._left -= steps
        self._granted.add(part)
        return True
