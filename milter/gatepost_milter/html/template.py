"""One template's text with slots: does another text differ in the slots alone, and where does what stand?

Nothing is guessed. A text fits only if all between its slots is the template's to the character, and if what
stands in the slots cannot mean anything to HTML there: then both have the same tags, attributes and
gaps, and what was derived from the one holds for the other, moved. Time is linear in the text; never
raises.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from itertools import accumulate, repeat
from operator import add, sub
from typing import NamedTuple

from gatepost_milter.editing.edits import Range, between
from gatepost_milter.html.slots import Kind, Slot

# Characters in a slot, and of what follows it that is looked for first.
VALUE_MOST = 1024
_HEAD = 16
SLOTS_MOST = 1000
_PLAIN = re.compile(r"[A-Za-z0-9_~+,:@!=?\n-]*+")
_ADDRESS = re.compile(r"[^\s\"'<>`&\\{}|^]*+(?:\n[^\s\"'<>`&\\{}|^]*+)*+")
_WORDS = re.compile(r"[^\"'<>]*+")


class Like(NamedTuple):
    """How a text is like a template's: ``shifts[n]`` is by how much it stands further right after n slots.

    ``plain``: the slots in addresses hold nothing that asks for a second look.
    """

    template: Template
    shifts: list[int]
    plain: bool


class Template:
    """What is fixed of a text, and its slots in their order."""

    def __init__(self, text: str, slots: list[Slot]) -> None:
        ranges = [(start, end) for start, end, _ in slots]
        first, *rest = between(text, ranges)
        self.slots = slots
        self._first = first
        self._rest = [(fixed[:_HEAD], fixed, len(fixed)) for fixed in rest]
        self._lengths = [end - start for start, end in ranges]
        self._starts = [start for start, _ in ranges]
        kinds = [slot.kind for slot in slots]
        self._of = [[number for number, kind in enumerate(kinds) if kind is one] for one in Kind]
        self.sound = len(slots) <= SLOTS_MOST and all(rest) and self._apart(first, rest)

    def _apart(self, first: str, rest: list[str]) -> bool:
        """Say whether no slot in a tag can be part of the word "style", which ``css`` looks for there."""
        for slot, before, after in zip(self.slots, [first, *rest], rest, strict=False):
            if slot.kind is not Kind.TEXT and (
                before.lower().endswith(("t", "ty", "tyl")) or after.lower().startswith(("e", "le", "yle"))
            ):
                return False
        return True

    def numbers(self, places: list[int]) -> list[int]:
        """Return how many slots stand before each of these places, none of which is within a slot."""
        return list(map(bisect_left, repeat(self._starts), places))

    def within(self, start: int, end: int) -> range:
        """Return the numbers of the slots in a range, which cuts none."""
        return range(bisect_left(self._starts, start), bisect_left(self._starts, end))

    def fits(self, text: str) -> Like | None:
        """Return how a text is like this one's; None if it is another."""
        if not text.startswith(self._first):
            return None
        values: list[str] = []
        keep, find, startswith = values.append, text.find, text.startswith
        place = len(self._first)
        for head, fixed, length in self._rest:
            at = find(head, place, place + VALUE_MOST)
            if at < 0 or not startswith(fixed, at):
                return None
            keep(text[place:at])
            place = at + length
        if place != len(text):
            return None
        plain = self._harmless(values)
        if plain is None:
            return None
        return Like(self, [0, *accumulate(map(sub, map(len, values), self._lengths))], plain)

    def _harmless(self, values: list[str]) -> bool | None:
        """Say whether values in addresses are plain; None if any may mean something where it stands."""
        if not all(values):
            return None
        addresses, words, texts = ([values[number] for number in numbers] for numbers in self._of)
        for value in texts:
            # Before a doctype a byte order mark is no text.
            if "<" in value or "\ufeff" in value or value != value.strip():
                return None
        joined = "\n".join(addresses)
        plain = joined.count("\n") == max(len(addresses) - 1, 0) and _PLAIN.fullmatch(joined) is not None
        if not plain and not _ADDRESS.fullmatch(joined):
            return None
        if words:
            if not _WORDS.fullmatch("\n".join(words)):
                return None
            joined += "\n".join(words)
        return None if "tyle" in joined.lower() else plain


class Spans:
    """Ranges of a template's text, to be found again in each text that fits."""

    def __init__(self, template: Template, ranges: list[Range]) -> None:
        self._starts = [start for start, _ in ranges]
        self._ends = [end for _, end in ranges]
        self._before, self._until = template.numbers(self._starts), template.numbers(self._ends)

    def columns(self, like: Like) -> tuple[list[int], list[int]]:
        """Return where they start and end in a text."""
        shift = like.shifts.__getitem__
        return (
            list(map(add, self._starts, map(shift, self._before))),
            list(map(add, self._ends, map(shift, self._until))),
        )

    def moved(self, like: Like) -> list[Range]:
        """Return them as they are in a text."""
        return list(zip(*self.columns(like), strict=True))
