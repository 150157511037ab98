"""Where HTML refers to images: attributes, ``srcset`` candidates, ``url()`` of styles (HTML section 4.8.4).

Each reference is a place and the raw text there, character references as they are. Scripts, fonts,
imported sheets and links are none. Values without quotes are left out where another feature may
rewrite the whole value (``style``). Linear time; never raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

from gatepost_milter.html.attributes import Finder, Value, decode
from gatepost_milter.html.csstext import uncommented
from gatepost_milter.html.part import HtmlPart
from gatepost_milter.html.scanner import Scan

# Offset within the part, raw text.
Reference: TypeAlias = tuple[int, str]

_SRC, _SRCSET, _POSTER, _TYPE = Finder("src"), Finder("srcset"), Finder("poster"), Finder("type")
_BACKGROUND, _STYLE = Finder("background"), Finder("style")
_PAINTED = frozenset(("table", "td", "th", "tr", "tbody", "thead", "tfoot", "body", "div"))
# One candidate: its URL, then descriptors up to a comma outside parentheses (section 4.8.4.2.2).
_CANDIDATE = re.compile(r"[ \t\n\f\r,]*+([^ \t\n\f\r]++)")
_DESCRIPTORS = re.compile(r"(?:[^,(]++|\([^)]*+\)?)*")
# Without backslashes: an escape of CSS is another character than the same text in an attribute.
_CSS_URL = re.compile(
    r"(?i:url)\([ \t\n\f\r]*+(?:&quot;|&#3[49];|[\"'])?([^()\"'<> \t\n\f\r&\\]++(?:&(?!quot;|#3[49];)"
    r"[^()\"'<> \t\n\f\r&\\]*+)*)(?:&quot;|&#3[49];|[\"'])?[ \t\n\f\r]*+\)"
)
_IMAGE_DECLARATION = re.compile(
    r"(?i:(?<![\w-])(?:background(?:-image)?|list-style(?:-image)?|border-image(?:-source)?|content))"
    r"[ \t\n\f\r]*+:[^;{}]*+"
)


class References(NamedTuple):
    """``common``: what every program that shows images may fetch. ``some``: in conditional comments."""

    common: list[Reference]
    some: list[Reference]


def part_references(part: HtmlPart) -> References:
    """Return all references of a part: for ``HtmlPart.once``."""
    return image_references(part.scan)


def image_references(scan: Scan) -> References:
    """Return all references of a text, those in conditional comments included."""
    found = References([], [])
    _of_tags(scan, found.common, vml=False)
    _of_sheets(scan, found.common)
    for conditional in scan.conditionals:
        _of_tags(conditional.scan, found.some, vml=True)
        _of_sheets(conditional.scan, found.some)
    return found


def css_references(css: str) -> Iterator[Reference]:
    """Yield the references of image properties in a sheet."""
    if "url(" in css.lower():
        css = uncommented(css, blank=True)
        for declaration in _IMAGE_DECLARATION.finditer(css):
            for url in _CSS_URL.finditer(css, declaration.start(), declaration.end()):
                yield url.start(1), url[1]


def style_references(style: str) -> Iterator[Reference]:
    """Yield the references of a ``style`` attribute's raw value."""
    for url in _CSS_URL.finditer(style):
        yield url.start(1), url[1]


def _of_tags(scan: Scan, found: list[Reference], *, vml: bool) -> None:
    for start, name, attributes, _ in scan.tags:
        if not attributes:
            continue
        read = _ELEMENTS.get(name)
        at = start + 1 + len(name)
        if read is not None:
            read(attributes, at, found)
        elif vml and name.startswith("v:"):
            _whole(_SRC(attributes), at, found)
        if name in _PAINTED and "background" in attributes.lower():
            _whole(_BACKGROUND(attributes), at, found)
        if (
            "(" in attributes
            and "url(" in attributes.lower()
            and (style := _STYLE(attributes))
            and style.quote
        ):
            found += ((at + style.start + place, url) for place, url in style_references(style.raw))


def _of_sheets(scan: Scan, found: list[Reference]) -> None:
    for style in scan.styles:
        # In a sheet "&amp;" is five characters: what would be read otherwise is left out.
        found += (
            (style.start + place, url) for place, url in css_references(style.content) if decode(url) == url
        )


def _whole(value: Value | None, at: int, found: list[Reference]) -> None:
    if value is not None:
        found.append((at + value.start, value.raw))


def _candidates(value: Value | None, at: int, found: list[Reference]) -> None:
    # A comma or a space written as a reference would part candidates where none is seen here.
    if value is None or "&#" in value.raw:
        return
    raw, at = value.raw, at + value.start
    match = _CANDIDATE.match(raw)
    while match is not None:
        url = match[1].rstrip(",")
        found.append((at + match.start(1), url))
        end = match.end()
        if len(url) == len(match[1]) and (descriptors := _DESCRIPTORS.match(raw, end)):
            end = descriptors.end()
        match = _CANDIDATE.match(raw, end)


def _img(attributes: str, at: int, found: list[Reference]) -> None:
    _whole(_SRC(attributes), at, found)
    if "srcset" in attributes.lower():
        _candidates(_SRCSET(attributes), at, found)


def _source(attributes: str, at: int, found: list[Reference]) -> None:
    _candidates(_SRCSET(attributes), at, found)


def _input(attributes: str, at: int, found: list[Reference]) -> None:
    kind = _TYPE(attributes)
    if kind is not None and kind.raw.strip().lower() == "image":
        _whole(_SRC(attributes), at, found)


def _video(attributes: str, at: int, found: list[Reference]) -> None:
    _whole(_POSTER(attributes), at, found)


_ELEMENTS: dict[str, Callable[[str, int, list[Reference]], None]] = {
    "img": _img,
    "image": _img,
    "source": _source,
    "input": _input,
    "video": _video,
}
