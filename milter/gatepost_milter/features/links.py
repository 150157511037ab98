"""The links of an HTML part that people follow, and which of them show a URL.

Followed are ``href`` of ``<a>`` and ``<area>``, and of VML elements in conditional comments (``urls`` says
which addresses). Both depend on the part alone, so ``HtmlPart.once`` keeps them with it. Never raises.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gatepost_milter.features.shownurls import TEXT_MOST, inner, shows_url
from gatepost_milter.features.targets import Targets, targets
from gatepost_milter.html.attributes import Finder
from gatepost_milter.html.gaps import end_tags
from gatepost_milter.html.part import HtmlPart
from gatepost_milter.html.scanner import Scan
from gatepost_milter.html.slots import Kind
from gatepost_milter.html.template import Like

_HREF = Finder("href")
_FOLLOWED = frozenset({"a", "area"})


def links(part: HtmlPart) -> Targets:
    """Return the links of a part, those in conditional comments included."""
    found = list(_of_scan(part.scan, vml=False))
    for conditional in part.scan.conditionals:
        found += _of_scan(conditional.scan, vml=True)
    return targets(found, utf8=part.utf8)


def _of_scan(scan: Scan, *, vml: bool) -> Iterator[tuple[int, str]]:
    for start, name, attributes, _ in scan.tags:
        if name in _FOLLOWED or (vml and name.startswith("v:")):
            href = _HREF(attributes)
            if href is not None:
                yield start + 1 + len(name) + href.start, href.raw


class _Anchor(NamedTuple):
    """An ``<a>`` whose link is followed: where that starts, and its tag's place."""

    link: int
    scan: Scan
    place: int


def _anchors(part: HtmlPart) -> list[_Anchor]:
    """Return the ``<a>`` elements of a part whose links are followed."""
    starts = iter(part.once(links).starts)
    start = next(starts, -1)
    found: list[_Anchor] = []
    for scan in (part.scan, *(conditional.scan for conditional in part.scan.conditionals)):
        for place, (at, name, attributes, _) in enumerate(scan.tags):
            if at < start < at + len(name) + len(attributes) + 2:
                if name == "a":
                    found.append(_Anchor(start, scan, place))
                start = next(starts, -1)
    return found


class Shown(frozenset[int]):
    """The starts of those links whose text is a URL."""

    __slots__ = ()

    def moved(self, part: HtmlPart, like: Like) -> Shown | None:
        """Return those of a part that is like this one's; None where a link's text has to be looked at."""
        sample = part.sample
        found = part.once(links)
        if sample is None or not found.same:
            return None  # other links may be followed here: nobody has looked at their texts
        for number, plain in sample.once(_changing_texts):
            slot = like.template.slots[number]
            start, end = slot.start + like.shifts[number], slot.end + like.shifts[number + 1]
            if not plain or not _is_word(part.text[start:end]):
                return None
        pairs = zip(sample.once(links).starts, found.starts, strict=True)
        return Shown([here for there, here in pairs if there in self]) if self else self


def _changing_texts(sample: HtmlPart) -> list[tuple[int, bool]]:
    """Return the slots in texts of a sample's links, and whether the text as a whole is no URL's for sure."""
    template, scan = sample.template, sample.scan
    if template is None:
        return []
    found: list[tuple[int, bool]] = []
    for _, own, place in sample.once(_anchors):
        end = _text_end(scan, place, len(sample.text)) if own is scan else 0
        within = template.within(scan.tags[place][0], end) if end else ()
        numbers = [number for number in within if template.slots[number].kind is Kind.TEXT]
        if numbers:  # one text, however many slots it has
            # Of a long text ``inner`` is the beginning: what is it of another one depends on the slots.
            whole = end - scan.tags[place][0] <= TEXT_MOST
            plain = whole and _is_word(inner(scan, place))
            found += [(number, plain) for number in numbers]
    return found


def _text_end(scan: Scan, place: int, length: int) -> int:
    """Return where the text of an ``<a>`` has ended for sure."""
    for start, name, _, gap in scan.tags[place + 1 :]:
        if name == "a" or any(word == "a" for _, word in end_tags(gap)):
            return start
    return length


def _is_word(text: str) -> bool:
    """Say whether a text can be no part of a URL that somebody would read as one."""
    return "." not in text and "&" not in text and text.isascii()


def showing_url(part: HtmlPart) -> Shown:
    """Return the starts of those links whose text is a URL."""
    return Shown(link for link, scan, place in part.once(_anchors) if shows_url(scan, place))
