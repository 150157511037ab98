"""inlinecss: rules of ``<style>`` blocks copied into ``style`` attributes; the blocks stay.

css_inline is only a calculator. It gets a bare copy of the part: the tags with a number each, those
attributes that selectors can see, ``x`` for any text. What it computes for each number is inserted in
front of the element's own declarations, so these win as they did before, and ``!important`` rules win over them as
before. Elements in conditional comments are computed from a second copy in which those comments are opened.

No file and no network is touched: ``<link>`` and ``<base>`` are not in the copy, and @import is not followed. Selectors that look at
``style`` attributes are not inlined. What is too large to compute in bounded time has ``Outcome.reason``.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable

from css_inline import CSSInliner

from gatepost_milter.edits import Edit
from gatepost_milter.html.attributes import Finder, decode
from gatepost_milter.html.part import HtmlPart, Outcome
from gatepost_milter.html.scanner import ATTRIBUTE, Scan, Style, Tag

# The work is elements times rules, about 30 ns a pair: these bound a part at some tenths of a second.
# Real newsletters have below 2,000 elements and 500 rules.
TAGS_MOST = 20_000
CSS_MOST = 262_144
PAIRS_MOST = 4_000_000
# css_inline recurses by nesting depth; far below what its stack holds, far above real mail (about 60).
DEPTH_MOST = 400

# Unguessable, so that no text of a message can pose as a result.
_MARK = f"data-gp{secrets.token_hex(8)}"
_RESULT = re.compile(rf'{_MARK}="(\d+)" style="([^"]*)"')
_PARTS = re.compile(rf"({ATTRIBUTE})")
_NAME = re.compile(r"[^ \t\n\f\r/>][^ \t\n\f\r/>=]*")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_TEXT = re.compile(r"> ?[^ <][^<]*+")
_END_TAG = re.compile(r"</[a-zA-Z]")
_WORD = re.compile(r"[\w-]+")
_SEES_ATTRIBUTES = re.compile(
    r"\[|:(?:checked|lang|dir|enabled|disabled|required|optional|read-|default|placeholder|indeterminate|target)"
)
_COSTLY = re.compile(r":(?:has|is|where|not|nth-last-child|nth-child)\(")
_LINKS = re.compile(r":(?:any-)?link|:visited")
_DECLARED = re.compile(r"(?:^|;)\s*([a-zA-Z-]+)\s*:")
# Never shown, or not HTML at all (Office's settings): a style there is noise.
_UNSTYLED = frozenset(
    "html head title meta link base style script noscript template xml param source track textarea xmp iframe "
    "noembed noframes plaintext".split()
) - {"html", "textarea", "iframe"}
_DROPPED = frozenset({"link", "base", "script", "title", "xmp", "noembed", "noframes", "plaintext"})
_PLACEHOLDER = "<style></style>"
_FIND_STYLE = Finder("style")
_HAS_STYLE = re.compile(r"(?i)(?:^|[ \t\n\f\r/\"'])style(?=[ \t\n\f\r/=]|\Z)")
_FIND_TYPE = Finder("type")
_FIND_CLASS = Finder("class")
_FIND_ID = Finder("id")
_INLINER = CSSInliner(load_remote_stylesheets=False, keep_style_tags=False, keep_link_tags=False)


class CalculatorError(Exception):
    """css_inline failed on this part."""


def inline(part: HtmlPart) -> Outcome:
    """Return the style attributes to write. Raises CalculatorError."""
    scan = part.scan
    sheets = [style.content for style in scan.styles if _is_css(style)]
    opened = sheets + [s.content for c in scan.conditionals for s in c.scan.styles if _is_css(s)]
    if not any("{" in sheet for sheet in opened):
        return Outcome(reason="no <style> rule")
    if reason := _too_large(scan, opened):
        return Outcome(reason=reason)
    edits: list[Edit[str]] = []
    if any("{" in sheet for sheet in sheets):
        copy = _Copy(sheets)
        copy.add(scan, len(scan.tags))
        edits += copy.edits()
    last = _last_reached(scan, "\n".join(opened))
    if last:
        copy = _Copy(opened)
        copy.add(scan, scan.conditionals[last - 1].index, scan.conditionals[:last])
        edits += copy.edits()
    return Outcome(edits, "" if edits else "no rule that applies")


def _is_css(style: Style) -> bool:
    kind = _FIND_TYPE(style.attributes) if style.attributes else None
    return kind is None or decode(kind.raw).strip().lower() in ("", "text/css")


def _too_large(scan: Scan, sheets: list[str]) -> str:
    """Return why this part is not computed; empty if it is."""
    tags = len(scan.tags) + sum(len(conditional.scan.tags) for conditional in scan.conditionals)
    size = sum(map(len, sheets))
    rules = sum(sheet.count("{") + sheet.count(",") for sheet in sheets)
    if tags > TAGS_MOST:
        return f"more than {TAGS_MOST} elements"
    if size > CSS_MOST:
        return f"more than {CSS_MOST} characters of CSS"
    costly = sum(len(_COSTLY.findall(sheet)) for sheet in sheets)
    if tags * rules * (1 + costly) > PAIRS_MOST * (1 if costly < 200 else 0):
        return f"{tags} elements times {rules} rules are too many"
    return ""


def _last_reached(scan: Scan, css: str) -> int:
    """Return how many conditional comments to open: up to the last with an element that a rule may reach."""
    words = set(_WORD.findall(css.lower())) if scan.conditionals else set[str]()
    everything = "*" in _COMMENT_CSS.sub("", css) or "[" in css
    for place in range(len(scan.conditionals), 0, -1):
        tags = scan.conditionals[place - 1].scan.tags
        if any(_styled(tag[1]) and (everything or _reached(tag, words)) for tag in tags):
            return place
    return 0


_COMMENT_CSS = re.compile(r"/\*.*?\*/", re.DOTALL)


def _reached(tag: Tag, words: set[str]) -> bool:
    if tag[1].rpartition(":")[2] in words:
        return True
    found = (_FIND_CLASS(tag[2]), _FIND_ID(tag[2])) if tag[2] else ()
    return any(not words.isdisjoint(_WORD.findall(decode(value.raw).lower())) for value in found if value)


def _styled(name: str) -> bool:
    return name not in _UNSTYLED and (":" not in name or name.startswith("v:"))


class _Copy:
    """The bare copy of a part, and what was computed from it."""

    def __init__(self, sheets: list[str]) -> None:
        css = "".join(sheets).lower()
        self._sheets = sheets
        self._all = _SEES_ATTRIBUTES.search(css) is not None
        self._seen = frozenset({"class", "id", "href"} if _LINKS.search(css) else {"class", "id"})
        self._pieces: list[str] = []
        self._tags: list[Tag] = []
        self._wanted: list[bool] = []
        self._known: dict[str, str] = {"": ""}
        self._conditional = False

    def add(self, scan: Scan, until: int, conditionals: Iterable[object] = ()) -> None:
        """Add the tags of ``scan`` up to ``until``, and the contents of ``conditionals``, which are then what counts."""
        opened = list(conditionals)
        place = 0
        for conditional in scan.conditionals[: len(opened)]:
            self._add(scan.tags[place : conditional.index], not opened)
            self._add(conditional.scan.tags, True)
            self._pieces.append(conditional.scan.tail)
            place = conditional.index
        self._add(scan.tags[place:until], not opened)
        self._pieces.append(scan.tail if until == len(scan.tags) else "")

    def _add(self, tags: list[Tag], wanted: bool) -> None:
        known, pieces = self._known, self._pieces
        number = len(self._tags)
        for tag in tags:
            _, name, attributes, gap = tag
            kept = known.get(attributes)
            if kept is None:
                kept = known[attributes] = self._kept(attributes)
            if name == "style":
                # A block of another type than CSS is none to css_inline either.
                pieces.append(gap + (_PLACEHOLDER if _is_css(Style(attributes, "")) else ""))
            elif name in _DROPPED:
                pieces.append(gap)
            else:
                pieces.append(f'{gap}<{name}{kept} {_MARK}="{number}">')
            number += 1
        self._tags += tags
        self._wanted += [wanted] * len(tags)

    def _kept(self, attributes: str) -> str:
        """Return those attributes that selectors may look at; never ``style``."""
        result = ""
        for segment in _PARTS.findall(attributes):
            segment = segment.lstrip(" \t\n\f\r/")  # noqa: PLW2901  # the same segment, trimmed
            found = _NAME.match(segment)
            name = found[0].lower() if found else "style"
            if name == "style" or segment.endswith("=") or not (self._all or name in self._seen):
                continue
            if self._all or not ("<" in segment or ">" in segment):
                result += " " + segment
        return result

    def edits(self) -> list[Edit[str]]:
        """Compute, and return the edits of the tags that count. Raises CalculatorError."""
        edits: list[Edit[str]] = []
        done: set[int] = set()
        for word, style in _RESULT.findall(_compute(self._text())):
            number = int(word)
            if number in done or not self._wanted[number] or not _styled(self._tags[number][1]):
                continue
            done.add(number)  # an element that the parser cloned comes again
            edit = _edit(self._tags[number], style)
            if edit is not None:
                edits.append(edit)
        return edits

    def _text(self) -> str:
        text = "".join(self._pieces)
        if "<!--" in text:
            text = _COMMENT.sub("", text)
        if not self._all:
            text = _TEXT.sub(">x", " ".join(text.split()))
        blocks = text.split(_PLACEHOLDER)
        pieces = [blocks[0]]
        for place, block in enumerate(blocks[1:]):
            sheet = self._sheets[place] if place < len(self._sheets) else ""
            pieces += ("<style>", sheet, "</style>", block)
        return "".join(pieces)


def _compute(copy: str) -> str:
    """Return css_inline's version of ``copy``. Raises CalculatorError."""
    if _depth(copy) > DEPTH_MOST:
        raise CalculatorError(f"elements nested more than {DEPTH_MOST} deep")
    try:
        return _INLINER.inline(copy)
    except Exception as error:
        raise CalculatorError(f"css_inline: {error}") from error
    except BaseException as error:
        # A panic in Rust is a BaseException of a module that cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        raise CalculatorError("css_inline panicked") from error


def _depth(copy: str) -> int:
    """Return an upper bound of the nesting depth: start tags less end tags at their highest."""
    starts = copy.count(_MARK)
    return starts if starts <= DEPTH_MOST else _measured(copy)


def _measured(copy: str) -> int:
    depth = most = 0
    for close, name in re.findall(r"<(/?)([a-zA-Z][^\s/>]*+)", copy):
        if close:
            depth = max(0, depth - 1)
        elif name not in _VOID:
            depth += 1
            most = max(most, depth)
    return most


_VOID = frozenset(
    "area base br col embed hr img input link meta param source track wbr li p td tr th option".split()
)


def _edit(tag: Tag, style: str) -> Edit[str] | None:
    """Return the edit that puts ``style`` (as it stands between double quotes) in front of a tag's own."""
    start, name, attributes, _ = tag
    after_name = start + 1 + len(name)
    if "tyle" not in attributes and "TYLE" not in attributes or not _HAS_STYLE.search(attributes):
        return Edit(after_name, after_name, f' style="{style.rstrip(";")}"')
    own = _FIND_STYLE(attributes)
    if own is None:
        # A style attribute without a value, or the word within another value.
        bare = re.search(
            r"(?i)(?:^|[ \t\n\f\r/\"'])style[ \t\n\f\r]*(?:=[ \t\n\f\r]*)?(?=[ \t\n\f\r/]|\Z)", attributes
        )
        return None if bare else Edit(after_name, after_name, f' style="{style.rstrip(";")}"')
    style = _new(style, own.raw)
    if not style:
        return None
    at = after_name + own.start
    if own.quote == '"':
        return Edit(at, at, style)
    if own.quote == "'":
        return Edit(at, at, style.replace("'", "&#39;"))
    return Edit(at, after_name + own.end, '"' + style + own.raw.replace('"', "&quot;") + '"')


def _new(style: str, own: str) -> str:
    """Return those declarations of ``style`` that the element's own do not override, each with its semicolon."""
    style = style.rstrip(";") + ";"
    if not own.strip():
        return style
    if "(" in own or "&" in own or "(" in style or "&" in style or "'" in style:
        return style
    declared = {name.lower() for name in _DECLARED.findall(own)}
    kept = [
        declaration
        for declaration in style[:-1].split(";")
        if "!important" in declaration or declaration.partition(":")[0].strip().lower() not in declared
    ]
    return ";".join(kept) + ";" if kept else ""
