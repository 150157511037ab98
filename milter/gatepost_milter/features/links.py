"""The links of an HTML part that people follow, and which of them show a URL.

Followed are ``href`` of ``<a>`` and ``<area>``, and of VML elements in conditional comments (``urls`` says
which addresses). Both depend on the part alone, so ``HtmlPart.once`` keeps them with it. Never raises.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from gatepost_milter.features.shownurls import shows_url
from gatepost_milter.features.urls import follows
from gatepost_milter.html.attributes import Finder
from gatepost_milter.html.part import HtmlPart
from gatepost_milter.html.scanner import Scan

_HREF = Finder("href")
_USUAL = 512  # characters of attributes that are remembered: links come again in messages of one template
_FOLLOWED = frozenset({"a", "area"})


class HtmlLink(NamedTuple):
    """A link to follow: where ``scheme://authority`` stands, what it says, and its tag's place."""

    start: int
    end: int
    scheme: str
    authority: str
    path_and_query: str
    scan: Scan
    place: int


def links(part: HtmlPart) -> list[HtmlLink]:
    """Return the links of a part, those in conditional comments included."""
    found = _of_scan(part.scan, utf8=part.utf8, vml=False)
    for conditional in part.scan.conditionals:
        found += _of_scan(conditional.scan, utf8=part.utf8, vml=True)
    return found


def _of_scan(scan: Scan, *, utf8: bool, vml: bool) -> list[HtmlLink]:
    found: list[HtmlLink] = []
    for place, (start, name, attributes, _) in enumerate(scan.tags):
        if name in _FOLLOWED or (vml and name.startswith("v:")):
            usual = len(attributes) < _USUAL
            target = _usual_target(attributes, utf8) if usual else _target(attributes, utf8)
            if target is not None:
                at, scheme, authority, rest = target
                where = start + 1 + len(name) + at
                end = where + len(scheme) + 3 + len(authority)
                found.append(HtmlLink(where, end, scheme, authority, rest, scan, place))
    return found


def _target(attributes: str, utf8: bool) -> tuple[int, str, str, str] | None:
    """Return where a link to follow begins in a tag's attributes, and its parts (``urls.follows``)."""
    href = _HREF(attributes)
    target = None if href is None else follows(href.raw, utf8=utf8)
    return None if href is None or target is None else (href.start + target[0], *target[1:])


_usual_target = lru_cache(maxsize=2048)(_target)


def showing_url(part: HtmlPart) -> frozenset[int]:
    """Return the starts of those links whose text is a URL."""
    return frozenset(
        link.start
        for link in part.once(links)
        if link.scan.tags[link.place][1] == "a" and shows_url(link.scan, link.place)
    )
