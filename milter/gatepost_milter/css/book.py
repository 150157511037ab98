"""The sheets of one document as one list of selectors to ask about (CSS Cascade Level 4, section 6).

A rule is *copied* if it holds always, everywhere and in every browser; all others *stay* in their block, and
are asked about only where a copied declaration might get in their way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gatepost_milter.css import selectors, syntax
from gatepost_milter.css.properties import family
from gatepost_milter.css.selectors import UNRANKED, Numbering, Selector, SelectorError, Specificity
from gatepost_milter.css.syntax import Declaration, Rule
from gatepost_milter.css.view import View
from gatepost_milter.html.csstext import CssTextError

SELECTORS_MOST = 10_000


class Source(NamedTuple):
    """A sheet; ``condition`` is empty, STAYS, or that of the conditional comment around it."""

    css: str
    condition: str


# Of a sheet whose rules are for some mail programs or media only.
STAYS = "!"


@dataclass(slots=True)
class Entry:
    """One selector of one rule: what is asked, and what it brings.

    ``rank`` is its place in the cascade. ``copied``: its declarations may be written into attributes, of
    elements within the same ``condition``. ``normal`` and ``important`` are its declarations by importance.
    """

    selector: Selector
    rank: tuple[Specificity, int]
    copied: bool
    condition: str
    normal: tuple[Declaration, ...]
    important: tuple[Declaration, ...]


@dataclass(frozen=True, slots=True)
class Book:
    """What ``read`` made of sheets. ``rules``: how many selectors they have in all."""

    entries: list[Entry]
    view: View
    rules: int
    ahead: bool
    words: frozenset[str]
    everything: bool


def read(sources: tuple[Source, ...], *, quirks: bool) -> Book:
    """Return the book of these sheets, in the order of the document. Raises CssTextError."""
    tests = Numbering(quirks=quirks)
    entries: list[Entry] = []
    order = 0
    for source in sources:
        sheet = syntax.read(source.css)
        for rule in sheet.rules:
            order += 1
            entries += _entries(rule, source.condition, tests, order, stays=sheet.namespaces)
            if len(entries) > SELECTORS_MOST:
                raise CssTextError(f"more than {SELECTORS_MOST} selectors in <style>")
    rules = len(entries)
    entries = _competing(entries)
    copied = [entry.selector for entry in entries if entry.copied]
    words = frozenset[str]().union(*(selector.last for selector in copied))
    everything = any(not selector.last for selector in copied)
    return Book(entries, View(tests), rules, tests.ahead, words, everything)


def _entries(rule: Rule, condition: str, tests: Numbering, order: int, *, stays: bool) -> list[Entry]:
    """Return the entries of a rule; none if no browser takes it for one."""
    try:
        found = selectors.read(rule.prelude, tests)
    except SelectorError:
        return []
    normal = tuple([each for each in rule.declarations if not each.important])
    important = tuple([each for each in rule.declarations if each.important])
    usual = not (stays or rule.stays or condition == STAYS) and all(one.known for one in found)
    ranked = rule.ranked and not stays
    return [
        Entry(
            one,
            (one.specificity if ranked else UNRANKED, order),
            usual and one.exact,
            condition,
            normal,
            important,
        )
        for one in found
        if not one.elsewhere
    ]


def _competing(entries: list[Entry]) -> list[Entry]:
    """Return the entries without those that stay and could not get in the way of any that is copied."""
    families = {family(each.name)[0] for entry in entries if entry.copied for each in entry.normal}
    return [
        entry
        for entry in entries
        if entry.copied
        or ("all" in families and entry.normal)
        or any(each.name == "all" or family(each.name)[0] in families for each in entry.normal)
    ]
