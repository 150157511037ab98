"""inlinecss: rules of ``<style>`` blocks copied into ``style`` attributes; the blocks stay.

What applies to an element is computed on a bare copy (``csscopy``) and inserted in front of the element's own
declarations, so that these win as they did before, and ``!important`` rules win over them as before.
Elements in conditional comments are computed from a second copy in which those comments are opened.

No file and no network is touched: ``<link>`` and ``<base>`` are not in the copy, and @import is not followed.
Selectors that look at ``style`` attributes are left to the block; where they might see what is written
(``stylesight``), nothing is. That, and what is too large to compute in bounded time, has ``Outcome.reason``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeAlias

from gatepost_milter.edits import Edit
from gatepost_milter.features.csscopy import (
    BareCopy,
    Profile,
    Skeleton,
    conditional_copy,
    profile,
    sheets_of,
    skeleton,
)
from gatepost_milter.features.csstext import uncommented
from gatepost_milter.features.stylesight import seen, sought
from gatepost_milter.html.attributes import Finder, decode
from gatepost_milter.html.part import HtmlPart, Outcome
from gatepost_milter.html.scanner import Scan, Tag
from gatepost_milter.recent import Recent

# The work is elements times rules, about 30 ns a pair: these bound a part at some tenths of a second.
# Real newsletters have below 2,000 elements and 500 rules.
TAGS_MOST = 20_000
CSS_MOST = 262_144
PAIRS_MOST = 4_000_000
COSTLY_MOST = 200

# The part (0) or the conditional comment (from 1), the tag's place there, the style.
_Styled: TypeAlias = tuple[int, int, str]
# Computed styles by what they depend on; at most some megabytes.
_COMPUTED_MOST = 32
_COMPUTED: Recent[tuple[str, ...], list[_Styled]] = Recent(_COMPUTED_MOST)
_KEY_MOST = 65536

_WORD = re.compile(r"[\w-]+")
# Each of these may look at many elements for one.
_COSTLY = re.compile(r":(?:has|is|where|not|nth-last-child|nth-child)\(")
_DECLARED = re.compile(r"(?:^|;)\s*([a-zA-Z-]+)\s*:")
# Never shown: a style there is noise.
_UNSTYLED = frozenset(
    (
        "head",
        "title",
        "meta",
        "link",
        "base",
        "style",
        "script",
        "noscript",
        "template",
        "xml",
        "param",
        "source",
    )
) | {"track", "xmp", "noembed", "noframes", "plaintext"}
_FIND_STYLE = Finder("style")
_FIND_CLASS = Finder("class")
_FIND_ID = Finder("id")
_BARE_STYLE = re.compile(r"(?i)(?:^|[ \t\n\f\r/\"'])style(?:[ \t\n\f\r]*=)?[ \t\n\f\r]*(?=[ \t\n\f\r/]|\Z)")


def inline(part: HtmlPart) -> Outcome:
    """Return the style attributes to write. Raises CalculatorError."""
    return part.once(_inlined)


def _inlined(part: HtmlPart) -> Outcome:
    scan = part.scan
    sheets = sheets_of(scan.styles)
    opened = sheets + [
        sheet for conditional in scan.conditionals for sheet in sheets_of(conditional.scan.styles)
    ]
    if not any("{" in sheet for sheet in opened):
        return Outcome(reason="no <style> rule")
    if reason := _too_large(scan, opened):
        return Outcome(reason=reason)
    reason, texts = sought(tuple(opened))
    if reason:
        return Outcome(reason=reason)
    edits: list[Edit[str]] = []
    scans = [scan, *(conditional.scan for conditional in scan.conditionals)]
    for order, place, style in _styles(scan, sheets, opened):
        start, name, attributes, _ = scans[order].tags[place]
        edit = _edit(name, attributes, style)
        if edit is not None:
            if texts and (reason := seen(texts, style)):
                return Outcome(reason=reason)
            edits.append((start + edit[0], start + edit[1], edit[2]))
    return Outcome(edits, "" if edits else "no rule that applies")


def _styles(scan: Scan, sheets: list[str], opened: list[str]) -> list[_Styled]:
    """Return what applies where, computed once for all parts that selectors cannot tell apart.

    Senders of bulk mail send one template again and again, with other texts and links. Raises
    CalculatorError.
    """
    view = profile(opened)
    whole = skeleton(scan, view)
    if view.everything:
        return _computed(scan, sheets, opened, view, whole)
    key = _key(scan, sheets, opened, view, whole)
    known = _COMPUTED.get(key)
    if known is None:
        known = _computed(scan, sheets, opened, view, whole)
        if sum(map(len, key)) <= _KEY_MOST:
            _COMPUTED.put(key, known)
    return known


def _key(scan: Scan, sheets: list[str], opened: list[str], view: Profile, whole: Skeleton) -> tuple[str, ...]:
    """Return all that ``_computed`` depends on."""
    key = [str(len(sheets)), *opened, "\0".join(whole.pieces), whole.tail]
    for conditional in scan.conditionals:
        index = conditional.index
        gap = scan.tags[index][3] if index < len(scan.tags) else scan.tail
        own = skeleton(conditional.scan, view)
        key += (str(index), view.bare(gap[: conditional.gap]), "\0".join(own.pieces), own.tail)
    return tuple(key)


def _computed(
    scan: Scan, sheets: list[str], opened: list[str], view: Profile, whole: Skeleton
) -> list[_Styled]:
    """Return what applies to elements of the part (0) and of its conditional comments (from 1)."""
    styles: list[_Styled] = []
    if any("{" in sheet for sheet in sheets):
        own = view if len(opened) == len(sheets) else profile(sheets)
        copy = BareCopy(sheets, own)
        reduced = whole if own is view else skeleton(scan, own)
        numbers = copy.add(scan.tags, reduced.pieces)
        copy.add_text(reduced.tail)
        styles += ((0, place, style) for place, style in copy.styles(numbers).items())
    count = _reached_conditionals(scan, opened)
    if count:
        copy, wanted = conditional_copy(scan, opened, view, whole, count)
        styles += ((*wanted[number], style) for number, style in copy.styles(set(wanted)).items())
    scans = [scan, *(conditional.scan for conditional in scan.conditionals)]
    return [styled for styled in styles if _styled(scans[styled[0]].tags[styled[1]][1])]


def _too_large(scan: Scan, sheets: list[str]) -> str:
    """Return why this part is not computed; empty if it is."""
    tags = len(scan.tags) + sum(len(conditional.scan.tags) for conditional in scan.conditionals)
    if tags > TAGS_MOST:
        return f"more than {TAGS_MOST} elements"
    if sum(map(len, sheets)) > CSS_MOST:
        return f"more than {CSS_MOST} characters of CSS"
    rules, costly = _weight(tuple(sheets))
    if costly > COSTLY_MOST or tags * rules * (1 + costly) > PAIRS_MOST:
        return f"{tags} elements times {rules} rules are too many"
    return ""


@lru_cache(maxsize=16)
def _weight(sheets: tuple[str, ...]) -> tuple[int, int]:
    """Return how many selectors there are, and how many of them may look at many elements for one."""
    rules = sum(sheet.count("{") + sheet.count(",") for sheet in sheets)
    return rules, sum(len(_COSTLY.findall(sheet)) for sheet in sheets)


def _reached_conditionals(scan: Scan, sheets: list[str]) -> int:
    """Return how many conditional comments to open: up to the last with an element that a rule may reach."""
    if not scan.conditionals:
        return 0
    css = uncommented("\n".join(sheets).lower())
    words = frozenset(_WORD.findall(css))
    everything = "*" in css or "[" in css or "\\" in css
    for place in range(len(scan.conditionals), 0, -1):
        tags = scan.conditionals[place - 1].scan.tags
        if any(_styled(tag[1]) and (everything or _reached(tag, words)) for tag in tags):
            return place
    return 0


def _reached(tag: Tag, words: frozenset[str]) -> bool:
    if tag[1] in words:
        return True
    found = (_FIND_CLASS(tag[2]), _FIND_ID(tag[2])) if tag[2] else ()
    return any(not words.isdisjoint(_WORD.findall(decode(value.raw).lower())) for value in found if value)


def _styled(name: str) -> bool:
    """Say whether an element may get a style: HTML that is shown, or VML, but none of Office's settings."""
    return name not in _UNSTYLED and (":" not in name or name.startswith("v:"))


def _edit(name: str, attributes: str, style: str) -> Edit[str] | None:
    """Return the edit that puts ``style`` (as it stands between double quotes) in front of a tag's own.

    Its offsets count from the tag's "<". Tags recur, in a message and from message to message.
    """
    usual = len(attributes) + len(style) < 1024
    return _usual_edit(name, attributes, style) if usual else _made_edit(name, attributes, style)


def _made_edit(name: str, attributes: str, style: str) -> Edit[str] | None:
    after_name = 1 + len(name)
    own = _FIND_STYLE(attributes) if "tyle" in attributes or "TYLE" in attributes else None
    if own is None:
        # A style attribute without a value stays so: a second one would not count.
        if "tyle" in attributes.lower() and _BARE_STYLE.search(attributes):
            return None
        return (after_name, after_name, f' style="{style.rstrip(";")}"')
    style = _new(style, own.raw)
    if not style:
        return None
    at = after_name + own.start
    if own.quote == '"':
        return (at, at, style)
    if own.quote == "'":
        return (at, at, style.replace("'", "&#39;"))
    return (at, after_name + own.end, '"' + style + own.raw.replace('"', "&quot;") + '"')


_usual_edit = lru_cache(maxsize=4096)(_made_edit)


def _new(style: str, own: str) -> str:
    """Return what of ``style`` the element's own declarations do not override, ending in a semicolon."""
    style = style.rstrip(";") + ";"
    # Semicolons within brackets, quotes or references: then all of it, which is longer and means the same.
    if not own.strip() or any(sign in own or sign in style for sign in "(&'\""):
        return style
    declared = {name.lower() for name in _DECLARED.findall(own)}
    kept = [
        declaration
        for declaration in style[:-1].split(";")
        if "!important" in declaration or declaration.partition(":")[0].strip().lower() not in declared
    ]
    return ";".join(kept) + ";" if kept else ""
