"""The links of an HTML part that people follow, and which of them show a URL.

Followed are ``href`` of ``<a>`` and ``<area>``, and of VML elements in conditional comments (``urls`` says
which addresses). Both depend on the part alone, so ``HtmlPart.once`` keeps them with it. Never raises.
"""

from __future__ import annotations

from itertools import compress, groupby
from typing import NamedTuple

from gatepost_milter.features.shownurls import TEXT_MOST, inner, show_urls
from gatepost_milter.features.targets import Targets, targets
from gatepost_milter.html.attributes import Finder
from gatepost_milter.html.gaps import end_tags
from gatepost_milter.html.part import HtmlPart
from gatepost_milter.html.scanner import Scan
from gatepost_milter.html.slots import Kind
from gatepost_milter.html.template import Like

_HREF = Finder("href")
_FOLLOWED = frozenset({"a", "area"})


class _Hrefs(NamedTuple):
    """Where values of ``href`` start, what they are, and whose: a scan and the tag's place there."""

    values: list[tuple[int, str]]
    tags: list[tuple[Scan, int]]


def _hrefs(part: HtmlPart) -> _Hrefs:
    """Return what ``href`` of each element is that may be followed."""
    found = _Hrefs([], [])
    _of_scan(part.scan, found, vml=False)
    for conditional in part.scan.conditionals:
        _of_scan(conditional.scan, found, vml=True)
    return found


def _of_scan(scan: Scan, found: _Hrefs, *, vml: bool) -> None:
    tags = scan.tags
    places = [
        place
        for place, (_, name, _, _) in enumerate(tags)
        if name in _FOLLOWED or (vml and name.startswith("v:"))
    ]
    for place, href in zip(places, _HREF.starts([tags[place][2] for place in places]), strict=True):
        if href is not None:
            start, name, _, _ = tags[place]
            found.values.append((start + 1 + len(name) + href[0], href[1]))
            found.tags.append((scan, place))


def links(part: HtmlPart) -> Targets:
    """Return the links of a part, those in conditional comments included."""
    return targets(part.once(_hrefs).values, utf8=part.utf8)


class _Anchor(NamedTuple):
    """An ``<a>`` whose link is followed: where that starts, and its tag's place."""

    link: int
    scan: Scan
    place: int


def _anchors(part: HtmlPart) -> list[_Anchor]:
    """Return the ``<a>`` elements of a part whose links are followed."""
    found, tags = part.once(links), part.once(_hrefs).tags
    pairs = zip(found.starts, [tags[number] for number in found.followed], strict=True)
    return [_Anchor(start, scan, place) for start, (scan, place) in pairs if scan.tags[place][1] == "a"]


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
    found: list[int] = []
    for _, alike in groupby(part.once(_anchors), lambda anchor: id(anchor.scan)):
        anchors = list(alike)
        shown = show_urls(anchors[0].scan, [anchor.place for anchor in anchors])
        found += compress([anchor.link for anchor in anchors], shown)
    return Shown(found)
