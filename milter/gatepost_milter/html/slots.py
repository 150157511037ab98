"""Where two messages of one template differ: places in which another text changes nothing else.

Such a *slot* is in a run of text, in ``<title>``, or within quotes in an attribute of a link or image, in
conditional comments too. What differs elsewhere (tags, styles, other comments) makes two templates. Where a
slot begins and ends is by whole words, so that the next message's name or number fits as well. Linear time;
never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import NamedTuple, TypeAlias

from gatepost_milter.html.attributes import Finder
from gatepost_milter.html.gaps import pieces
from gatepost_milter.html.scanner import Scan, scan_conditional


class Kind(IntEnum):
    """What a slot stands in: an address, another attribute, text between tags."""

    ADDRESS = 0
    WORDS = 1
    TEXT = 2


class Slot(NamedTuple):
    """A slot's place in the text that it was found in."""

    start: int
    end: int
    kind: Kind


# The tag's place, and the attribute or the number of the piece after the tag.
Key: TypeAlias = tuple[int, str]
# How much of a field's text, from the left and from the right, was the same in all messages so far.
Same: TypeAlias = Mapping[Key, tuple[int, int]]


class Read(NamedTuple):
    """A text and its scan."""

    text: str
    scan: Scan


class _Field(NamedTuple):
    key: Key
    kind: Kind
    start: int
    new: str
    old: str


class _OtherwiseError(Exception):
    """They differ where nothing may."""


_HREF, _SRC, _ALT, _TITLE = Finder("href"), Finder("src"), Finder("alt"), Finder("title")
_FIELDS = {
    "a": (("href", _HREF), ("title", _TITLE)),
    "area": (("href", _HREF), ("alt", _ALT), ("title", _TITLE)),
    "img": (("src", _SRC), ("alt", _ALT), ("title", _TITLE)),
    "v:": (("href", _HREF), ("src", _SRC), ("alt", _ALT)),
}
_RAW = {
    name: re.compile(rf"(?i)</{name}(?=[ \t\n\f\r/>])")
    for name in ("script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "plaintext")
}
# Those in which there may be a slot.
ATTRIBUTES = frozenset(name for fields in _FIELDS.values() for name, _ in fields)


def alike(new: Read, old: Read, same: Same) -> tuple[list[Slot], Same] | None:
    """Return the slots of ``new``, and what is the same in all so far; None: they are no template's."""
    if new.scan.open_end or len(new.scan.tags) != len(old.scan.tags):
        return None
    slots: list[Slot] = []
    found: dict[Key, tuple[int, int]] = {}
    try:
        for field in _fields(new, old, frozenset(place for place, _ in same)):
            if field.new != field.old or field.key in same:
                start, end = _differing(field, same.get(field.key))
                slots.append(Slot(field.start + start, field.start + end, field.kind))
                found[field.key] = (start, len(field.new) - end)
    except _OtherwiseError:
        return None
    return sorted(slots), found


def _differing(field: _Field, same: tuple[int, int] | None) -> tuple[int, int]:
    """Return the range of a field's text that is a slot."""
    new, old, kind = field.new, field.old, field.kind
    start = _alike(new, old)
    end = min(_alike(new[::-1], old[::-1]), len(new) - start, len(old) - start)
    if same is not None:
        start, end = min(start, same[0]), min(end, same[1])
    last = len(new) - end
    if last < start:
        raise _OtherwiseError
    word = _in_address if kind is Kind.ADDRESS else str.isalnum
    while start and word(new[start - 1]):
        start -= 1
    while last < len(new) and word(new[last]):
        last += 1
    if start == last:
        raise _OtherwiseError
    return start, last


def _alike(one: str, other: str) -> int:
    """Return how many characters both have in common at their beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (here, there) in pairs if here != there), min(len(one), len(other)))


def _in_address(character: str) -> bool:
    return character.isalnum() or character in "_-%.~+"


def _fields(new: Read, old: Read, known: frozenset[int]) -> Iterator[_Field]:
    """Yield the fields of tags and gaps that differ or did. Raises _OtherwiseError."""
    one, other = new.scan, old.scan
    at = was = 0
    name = ""
    for place, (tag, older) in enumerate(zip(one.tags, other.tags, strict=True)):
        if tag[1] != older[1]:
            raise _OtherwiseError
        region, before = new.text[at : tag[0]], old.text[was : older[0]]
        if region != before or place - 1 in known:
            yield from _between(place - 1, name, at, region, before)
        name, attributes, its = tag[1], tag[2], older[2]
        if attributes != its or place in known:
            yield from _attributes(place, name, tag[0] + 1 + len(name), attributes, its)
        at, was = tag[0] + len(name) + len(attributes) + 2, older[0] + len(name) + len(its) + 2
    region, before = new.text[at:], old.text[was:]
    if region != before or len(one.tags) - 1 in known:
        yield from _between(len(one.tags) - 1, name, at, region, before)


def _attributes(place: int, name: str, at: int, new: str, old: str) -> Iterator[_Field]:
    """Yield the fields of one tag."""
    rest, its = new, old
    found: list[_Field] = []
    for word, find in _FIELDS.get("v:" if name.startswith("v:") else name, ()):
        value, older = find(new), find(old)
        if value is None or older is None or not value.quote or value.quote != older.quote:
            continue
        rest, its = _without(rest, find), _without(its, find)
        kind = Kind.ADDRESS if word in ("href", "src") else Kind.WORDS
        found.append(_Field((place, word), kind, at + value.start, value.raw, older.raw))
    if rest != its:
        raise _OtherwiseError
    yield from found


def _without(attributes: str, find: Finder) -> str:
    """Return attributes without one's value."""
    value = find(attributes)
    return attributes if value is None else attributes[: value.start] + attributes[value.end :]


def _between(place: int, name: str, at: int, region: str, older: str) -> Iterator[_Field]:
    """Yield the fields in all that stands between two tags. Raises _OtherwiseError."""
    end, its = _raw_end(name, region), _raw_end(name, older)
    raw, was = region[:end], older[:its]
    if name == "title" and "<" not in raw and "<" not in was:
        yield _Field((place, "raw"), Kind.TEXT, at, raw, was)
    elif raw != was:
        raise _OtherwiseError
    at += end
    ours, theirs = list(pieces(region[end:])), list(pieces(older[its:]))
    if len(ours) != len(theirs):
        raise _OtherwiseError
    for number, (piece, other) in enumerate(zip(ours, theirs, strict=True)):
        if not number % 2 and "<" not in piece and "<" not in other:
            yield _Field((place, str(number)), Kind.TEXT, at, piece, other)
        elif number % 2 and piece[:7].lower() == "<!--[if":
            yield from _conditional((place, str(number)), at, piece, other)
        elif piece != other:
            raise _OtherwiseError
        at += len(piece)


def _raw_end(name: str, region: str) -> int:
    """Return where what stands after a raw-text element's tag ceases to be its text."""
    if name not in _RAW:
        return 0
    end = _RAW[name].search(region)
    return len(region) if end is None else end.start()


def _conditional(key: Key, at: int, new: str, old: str) -> Iterator[_Field]:
    """Yield the fields of tags in a conditional comment; nothing else of it may differ."""
    here = there = 0
    ours, theirs = scan_conditional(new, at), scan_conditional(old, 0)
    if len(ours) != len(theirs):
        raise _OtherwiseError
    for number, (tag, older) in enumerate(zip(ours, theirs, strict=True)):
        name, attributes, its = tag[1], tag[2], older[2]
        start, began = tag[0] - at, older[0]
        if name != older[1] or new[here:start] != old[there:began]:
            raise _OtherwiseError
        for field in _attributes(number, name, tag[0] + 1 + len(name), attributes, its):
            yield field._replace(key=(key[0], f"{key[1]} {number} {field.key[1]}"))
        here, there = start + len(name) + len(attributes) + 2, began + len(name) + len(its) + 2
    if new[here:] != old[there:]:
        raise _OtherwiseError
