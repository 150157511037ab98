"""The bare copy of an HTML part that css_inline calculates on, and what it makes of it.

Each tag has a number in an attribute of its own. Of the other attributes only ``class`` and ``id`` are
there, and that a link is one; any text is ``x``. If a selector looks at attributes, all are there but
``style``. Sheets stand where they stood. So the copy is small, holds nothing that could be fetched,
and its result can be read with one pattern.
"""

from __future__ import annotations

import re
import secrets

from css_inline import CSSInliner

from gatepost_milter.html.attributes import Finder, Value, decode
from gatepost_milter.html.nesting import UNMEASURED, too_deep
from gatepost_milter.html.scanner import ATTRIBUTE, Scan, Style, Tag

# Short, because every tag carries it. In a bare copy nothing can pose as a result: no text is left,
# and a value holds no bare quote. Where all attributes and texts stay, the mark is unguessable.
_BARE_MARK = "gp"
_FULL_MARK = f"data-gp{secrets.token_hex(8)}"
# css_inline adds its style last, but may move other attributes behind the mark.
_RESULT = {
    mark: re.compile(rf' {mark}="(\d+)"(?: (?!style=)[^\s="]+="[^"]*")* style="([^"]*)"')
    for mark in (_BARE_MARK, _FULL_MARK)
}
_SEGMENT = re.compile(rf"({ATTRIBUTE})")
_NAME = re.compile(r"[^ \t\n\f\r/>][^ \t\n\f\r/>=]*")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_TEXT = re.compile(r"> ?[^ <][^<]*+")
_SEES_ATTRIBUTES = re.compile(
    r"\[|:(?:checked|lang|dir|enabled|disabled|required|optional|read-|default|placeholder|indeterminate|target)"
)
_SEES_LINKS = re.compile(r":(?:any-)?link|:visited")
_SHEET = "<style></style>"
# link and base name files; the others hold raw text, which the copy has none of.
_DROPPED = frozenset(("link", "base", "script", "title", "xmp", "noembed", "noframes", "plaintext"))
_FIND_TYPE = Finder("type")
_FIND_CLASS = Finder("class")
_FIND_ID = Finder("id")
_FIND_HREF = Finder("href")
_INLINER = CSSInliner(load_remote_stylesheets=False, keep_style_tags=False, keep_link_tags=False)


class CalculatorError(Exception):
    """css_inline cannot be asked about this part, or failed on it; the text says why."""


def is_css(attributes: str) -> bool:
    """Say whether a ``<style>`` element with these attributes holds CSS."""
    kind = _FIND_TYPE(attributes) if attributes else None
    return kind is None or decode(kind.raw).strip().lower() in ("", "text/css")


def sheets_of(styles: list[Style]) -> list[str]:
    """Return the contents of those elements that hold CSS."""
    return [style.content for style in styles if is_css(style.attributes)]


class BareCopy:
    """A copy under construction: ``add`` what it is made of, then ask for ``styles``."""

    def __init__(self, sheets: list[str]) -> None:
        css = "".join(sheets).lower()
        self._sheets = sheets
        self._everything = _SEES_ATTRIBUTES.search(css) is not None
        self._links = _SEES_LINKS.search(css) is not None
        self._mark = _FULL_MARK if self._everything else _BARE_MARK
        self._pieces: list[str] = []
        self._tags: list[Tag] = []
        self._known: dict[str, str] = {"": f' {self._mark}="'}

    def add(self, tags: list[Tag]) -> range:
        """Add tags with the gaps before them; return their numbers."""
        known, pieces = self._known, self._pieces
        first = len(self._tags)
        for number, (_, name, attributes, gap) in enumerate(tags, first):
            if name in _DROPPED:
                pieces.append(gap)
            elif name == "style":
                pieces.append(gap + _SHEET if is_css(attributes) else gap)
            else:
                kept = known.get(attributes)
                if kept is None:
                    kept = known[attributes] = f'{self._kept(attributes)} {self._mark}="'
                pieces.append(f'{gap}<{name}{kept}{number}">')
        self._tags += tags
        return range(first, len(self._tags))

    def add_text(self, gap: str) -> None:
        """Add what stands after the last tag."""
        self._pieces.append(gap)

    def styles(self, wanted: range | set[int]) -> list[tuple[Tag, str]]:
        """Return the tags with a number in ``wanted`` that rules apply to, and what these say.

        The styles read as they may stand between double quotes. Raises CalculatorError.
        """
        result: dict[int, str] = {}
        for word, style in _RESULT[self._mark].findall(_compute(self._text(), len(self._tags))):
            number = int(word)
            if number in wanted:
                result.setdefault(number, style)  # an element that the parser cloned comes again
        return [(self._tags[number], _as_value(style)) for number, style in result.items() if _sound(style)]

    def _kept(self, attributes: str) -> str:
        """Return those attributes that selectors may look at; never ``style``."""
        if self._everything:
            return self._all_but_style(attributes)
        lowered = attributes.lower()
        result = ""
        if "class" in lowered and (value := _FIND_CLASS(attributes)):
            result = _bare("class", value)
        if "id" in lowered and (value := _FIND_ID(attributes)):
            result += _bare("id", value)
        if self._links and "href" in lowered and _FIND_HREF(attributes):
            result += " href"
        return result

    @staticmethod
    def _all_but_style(attributes: str) -> str:
        result = ""
        for segment in _SEGMENT.findall(attributes):
            word = segment.lstrip(" \t\n\f\r/")
            found = _NAME.match(word)
            name = found[0].lower() if found else "style"
            # An empty value would take the number that follows for its own.
            if name not in ("style", _FULL_MARK) and not word.endswith("="):
                result += " " + word
        return result

    def _text(self) -> str:
        text = "".join(self._pieces)
        if "<!--" in text:
            text = _COMMENT.sub("", text)
        if not self._everything:
            text = _TEXT.sub(">x", " ".join(text.split()))
        blocks = text.split(_SHEET)
        pieces = [blocks[0]]
        for place, block in enumerate(blocks[1:]):
            sheet = self._sheets[place] if place < len(self._sheets) else ""
            pieces += ("<style>", sheet, "</style>", block)
        return "".join(pieces)


def conditional_copy(scan: Scan, sheets: list[str], count: int) -> tuple[BareCopy, set[int]]:
    """Return a copy with the first ``count`` conditional comments opened, and the numbers of their tags.

    It ends with the last of them: what follows changes nothing for elements before it but by
    selectors that look ahead, and those are rare enough to be left to the block.
    """
    copy = BareCopy(sheets)
    wanted: set[int] = set()
    place = used = 0  # the next tag, and how much of the gap before it is in the copy
    for conditional in scan.conditionals[:count]:
        if conditional.index > place:
            start, name, attributes, gap = scan.tags[place]
            copy.add([(start, name, attributes, gap[used:]), *scan.tags[place + 1 : conditional.index]])
            place, used = conditional.index, 0
        gap = scan.tags[place][3] if place < len(scan.tags) else scan.tail
        copy.add_text(gap[used : conditional.gap])
        used = conditional.gap
        wanted.update(copy.add(conditional.scan.tags))
        copy.add_text(conditional.scan.tail)
    return copy, wanted


def _sound(style: str) -> bool:
    """Return CSS, which css_inline writes as the sheet has it, as it may stand between double quotes."""
    return style.count("'") % 2 == 0


def _as_value(style: str) -> str:
    """Return CSS, which css_inline writes as it stood in the sheet, as it may stand between double quotes."""
    if "\n" in style or "\r" in style:
        style = " ".join(style.split())
    return style.replace("&", "&amp;")


def _bare(name: str, value: Value) -> str:
    # "<" and ">" would end a text that is none; no selector that anybody writes holds them.
    if "<" in value.raw or ">" in value.raw:
        return ""
    return f" {name}={value.quote}{value.raw}{value.quote}"


def _compute(copy: str, tags: int) -> str:
    """Return css_inline's version of ``copy``. Raises CalculatorError."""
    # Its recursion ends in a crash of the process at some 10,000 levels, so depth is known beforehand.
    if tags > UNMEASURED and (fault := too_deep(copy)):
        raise CalculatorError(fault)
    try:
        return _INLINER.inline(copy)
    except Exception as error:
        raise CalculatorError(f"css_inline: {error}") from error
    except BaseException as error:
        # A panic in Rust is a BaseException of a module that cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        raise CalculatorError("css_inline panicked") from error
