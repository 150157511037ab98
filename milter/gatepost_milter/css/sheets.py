"""The sheets of an HTML part, and for whom each is (HTML section 4.2.6, CSSOM section 6.2).

A sheet with ``media`` holds at times only; one in ``<!--[if !mso]><!-->`` is hidden from Outlook, one in a
conditional comment is for Outlook alone, and one within ``<template>`` is none. Linear time; nothing here
fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gatepost_milter.css.book import STAYS, Source
from gatepost_milter.html.attributes import Finder, decode
from gatepost_milter.html.gaps import end_tags
from gatepost_milter.html.part import HtmlPart
from gatepost_milter.html.scanner import COMMENT_REST, Scan, Style

_FIND_TYPE, _FIND_MEDIA, _FIND_TITLE = Finder("type"), Finder("media"), Finder("title")
_NONE = "?"  # the condition of what is no sheet
# Where a part begins or ends that Outlook does not see, but for beginnings that are comments of their own.
_BOUND = re.compile(rf"<!--({COMMENT_REST})|<!\[(if|endif)(?=[ \t\n\f\r\](])", re.IGNORECASE)
_ASIDE = re.compile(rf"[ \t\r\n\f\ufeff]++|<!--{COMMENT_REST}|<\?[^>]*+>")
_DOCTYPE = re.compile(
    r"""(?i)<!doctype\s*([^\s>]*+)(?:\s+public\s*("[^">]*"|'[^'>]*'))?(?:\s+system)?\s*("[^">]*"|'[^'>]*')?"""
)
# Public identifiers of a browser's quirks mode (HTML section 13.2.6.4.1), by how they begin.
_OLD = (
    "+//silmaril//dtd html pro v0r11",
    "-//as//dtd html 3.0 aswedit",
    "-//advasoft ltd//dtd html 3.0 aswedit",
    "-//ietf//dtd html",
    "-//metrius//dtd metrius presentational",
    "-//microsoft//dtd internet explorer",
    "-//netscape comm. corp.//dtd",
    "-//o'reilly and associates//dtd html",
    "-//sq//dtd html 2.0 hotmetal",
    "-//softquad",
    "-//spyglass//dtd html 2.0",
    "-//sun microsystems corp.//dtd hotjava",
    "-//w3c//dtd html 3",
    "-//w3c//dtd html 4.0 frameset//",
    "-//w3c//dtd html 4.0 transitional//",
    "-//w3c//dtd html experimental",
    "-//w3c//dtd w3 html",
    "-//w3o//dtd w3 html",
    "-//webtechs//dtd mozilla html",
    "-/w3c/dtd html 4.0 transitional/en",
)
# These only without a system identifier.
_TRANSITIONAL = ("-//w3c//dtd html 4.01 frameset//", "-//w3c//dtd html 4.01 transitional//")


def sources(part: HtmlPart) -> tuple[Source, ...]:
    """Return the sheets of a part in their order, those in conditional comments included."""
    scan = part.scan
    special = _conditions(scan) if scan.styles and _has_bounds(part) else {}
    found = [(style, special.get(style.start, "")) for style in scan.styles]
    for conditional in scan.conditionals:
        found += [(style, conditional.condition) for style in conditional.scan.styles]
    if scan.conditionals:
        found.sort(key=lambda each: each[0].start)
    titles: list[str] = []
    return tuple(
        [
            Source(style.content, _own_condition(style, titles) or condition)
            for style, condition in found
            if condition != _NONE and (not style.attributes or is_css(style.attributes))
        ]
    )


def _has_bounds(part: HtmlPart) -> bool:
    if part.scan.revealed:
        return True
    text = part.text.lower()
    return "<![if" in text or "<template" in text


def is_css(attributes: str) -> bool:
    """Say whether a ``<style>`` element with these attributes holds CSS."""
    kind = _FIND_TYPE(attributes)
    return kind is None or decode(kind.raw).strip().lower() in ("", "text/css")


def _own_condition(style: Style, titles: list[str]) -> str:
    """Return STAYS for a sheet that holds at times only; of several titles only the first one's hold."""
    if not style.attributes:
        return ""
    media, title = _FIND_MEDIA(style.attributes), _FIND_TITLE(style.attributes)
    if media is not None and decode(media.raw).strip().lower() not in ("", "all"):
        return STAYS
    if title is not None:
        titles.append(decode(title.raw))
        return STAYS if titles[-1] != titles[0] else ""
    return ""


def _conditions(scan: Scan) -> dict[int, str]:
    """Return the conditions of those sheets that have one, by where they start."""
    found: dict[int, str] = {}
    styles = iter(scan.styles)
    revealed: dict[int, list[tuple[int, bool]]] = {}
    for index, at in scan.revealed:
        revealed.setdefault(index, []).append((at, True))
    hidden = templates = 0
    for index, (_, name, _, gap) in enumerate(scan.tags):
        if "<" in gap or index in revealed:
            templates = max(0, templates - sum(word == "template" for _, word in end_tags(gap)))
            for _, begins in sorted([*_bounds(gap), *revealed.get(index, ())]):
                hidden = hidden + 1 if begins else max(0, hidden - 1)
        templates += name == "template"
        if name == "style":
            start = next(styles).start
            if templates or hidden:
                found[start] = _NONE if templates else STAYS
            if start == scan.styles[-1].start:
                break
    return found


def _bounds(gap: str) -> Iterator[tuple[int, bool]]:
    """Yield where in a gap what Outlook does not see begins (True) and ends (False)."""
    for bound in _BOUND.finditer(gap):
        if bound[2]:
            yield bound.start(), bound[2].lower() == "if"
        elif bound[1].lstrip().lower().startswith("<![endif]"):
            yield bound.start(), False


def in_quirks_mode(text: str) -> bool:
    """Say whether a browser shows a document in quirks mode: without a doctype, or with an old one."""
    position = 0
    while aside := _ASIDE.match(text, position):
        position = aside.end()
    doctype = _DOCTYPE.match(text, position)
    if doctype is None or doctype[1].lower() != "html":
        return True
    public, system = ((doctype[group] or "")[1:-1].lower() for group in (2, 3))
    if public == "html" or public.startswith(_OLD) or system.endswith("/ibmxhtml1-transitional.dtd"):
        return True
    return not system and public.startswith(_TRANSITIONAL)
