"""What the selectors of a set of sheets see of a document, and documents reduced to it.

Each tag keeps its name, and as its classes the numbers of those tests (``selectors``) that its attributes
pass; any text is ``x``. So the copy is small, holds nothing that could be fetched, and messages made from one
template have the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gatepost_milter.css.selectors import Numbering, Test, lowered
from gatepost_milter.html.attributes import decode
from gatepost_milter.html.gaps import end_tags_alone
from gatepost_milter.html.scanner import WS, Scan

_ATTRIBUTE = re.compile(
    rf"[ \t\n\f\r/]*+([^ \t\n\f\r/>][^ \t\n\f\r/>=]*+)"
    rf"""(?:{WS}*+={WS}*+(?:"([^"]*+)"|'([^']*+)'|([^ \t\n\f\r>"'][^ \t\n\f\r>]*+)|(?=>)|\Z)|(?!{WS}*+=))"""
)
_TEXT = re.compile(r"> ?[^ <][^<]*+")
_SPACE = re.compile(r"[ \t\n\f\r]+")
# Texts and attributes recur in messages of one sender; what is remembered of them is bounded by these.
_REMEMBERED = 262_144  # characters
_REMEMBERED_LENGTH = 1024


class View:
    """The tests of one set of sheets. What ``bare`` and ``kept`` return is remembered from part to part."""

    def __init__(self, tests: Numbering) -> None:
        self._quirks = tests.quirks
        self._links = tests.links
        self._classes: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        self._tags: dict[str, str] = {}
        self._attributes: dict[str, list[tuple[Test, str]]] = {}
        for test, number in tests.numbers.items():
            kind, name = test[:2]
            if kind == "attribute":
                self._attributes.setdefault(name, []).append((test, number))
            else:
                {"class": self._classes, "id": self._ids, "tag": self._tags}[kind][name] = number
        names = {*self._attributes} | ({"class"} if self._classes else set())
        names |= ({"id"} if self._ids else set()) | ({"href"} if self._links else set())
        self._seen = re.compile("|".join(map(re.escape, names)) or r"(?!)")
        self._gaps: dict[str, str] = {}
        self._known: dict[str, str] = {}
        self._size = 0

    @property
    def tested(self) -> frozenset[str]:
        """Return the names of the attributes that are looked at beside class and id."""
        return frozenset(self._attributes)

    def bare(self, gap: str) -> str:
        """Return a gap between tags: its end tags, and ``x`` for any text."""
        known = self._gaps.get(gap)
        if known is None:
            known = _TEXT.sub(">x", ">" + _SPACE.sub(" ", end_tags_alone(gap)))[1:]
            if self._fits(len(gap), len(known)):
                self._gaps[gap] = known
        return known

    def kept(self, name: str, attributes: str) -> str:
        """Return a tag's attributes in the copy."""
        if self._tags and name in self._tags:
            return self._made(self._tags[name], attributes)
        if not attributes:
            return ""
        known = self._known.get(attributes)
        if known is None:
            if not self._seen.search(attributes.lower()):
                # To HTML the slash of <br/> means nothing, but within SVG it ends the element.
                return "/" if attributes[-1] == "/" else ""
            known = self._made("", attributes)
            if self._fits(len(attributes), len(known)):
                self._known[attributes] = known
        return known

    def _fits(self, key: int, value: int) -> bool:
        """Say whether something may be remembered; when too much is, all else is forgotten."""
        if key > _REMEMBERED_LENGTH:
            return False
        self._size += key + value
        if self._size > _REMEMBERED:
            self._gaps.clear()
            self._known.clear()
            self._size = 0
        return True

    def _made(self, odd: str, attributes: str) -> str:
        values: dict[str, str] = {}
        for name, *raw in _ATTRIBUTE.findall(attributes):
            values.setdefault(lowered(name), "".join(raw))
        numbers = ([odd] if odd else []) + self._passed(values)
        linked = " href" if self._links and "href" in values else ""
        slash = "/" if attributes.endswith("/") else ""
        return (f' class="{" ".join(numbers)}"' if numbers else "") + linked + slash

    def _passed(self, values: dict[str, str]) -> list[str]:
        """Return the numbers of the tests that attributes (raw values by name) pass."""
        found: list[str] = []
        if self._classes and (raw := values.get("class")):
            words = _SPACE.split(self._cased(decode(raw)))
            found += dict.fromkeys([self._classes[word] for word in words if word in self._classes])
        if self._ids and (raw := values.get("id")) and (number := self._ids.get(self._cased(decode(raw)))):
            found.append(number)
        if self._attributes:
            for name in self._attributes.keys() & values.keys():
                value = decode(values[name])
                found += [number for test, number in self._attributes[name] if _passes(test, value)]
        return sorted(found) if len(found) > 1 else found

    def _cased(self, text: str) -> str:
        return lowered(text) if self._quirks else text


def _passes(test: Test, value: str) -> bool:
    """Say whether an attribute's value passes a test (Selectors Level 4, section 6)."""
    _, _, operator, wanted, any_case = test
    value = lowered(value) if any_case else value
    if operator in ("", "="):
        return not operator or value == wanted
    if operator == "|=":
        return value == wanted or value.startswith(f"{wanted}-")
    if operator == "~=":
        return wanted in _SPACE.split(value) and wanted != ""
    if not wanted:
        return False
    if operator == "*=":
        return wanted in value
    return value.startswith(wanted) if operator == "^=" else value.endswith(wanted)


@dataclass(frozen=True, slots=True)
class Skeleton:
    """One scan as selectors see it: a piece for each tag, without its ">", and what follows the last."""

    pieces: list[str]
    tail: str


def skeleton(scan: Scan, view: View) -> Skeleton:
    """Return the skeleton of a scan; two scans with the same one get the same styles."""
    bare, kept = view.bare, view.kept
    pieces = [f"{bare(gap)}<{name}{kept(name, attributes)}" for _, name, attributes, gap in scan.tags]
    return Skeleton(pieces, bare(scan.tail))
