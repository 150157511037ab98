"""The bare copy of an HTML part that css_inline calculates on, and what it makes of it.

Each tag has a number in an attribute of its own. Of the other attributes only those are there that a selector
looks at (``Profile``), and any text is ``x``. Where that cannot be told, all attributes but ``style`` and
all texts stay. Sheets stand where they stood. So the copy is small, holds nothing that could be
fetched, its result can be read with one pattern, and messages made from one template have the same copy.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from functools import lru_cache

from css_inline import CSSInliner

from gatepost_milter.features.csstext import CssTextError, plain_quotes, uncommented
from gatepost_milter.html.attributes import Finder, decode
from gatepost_milter.html.gaps import without_comments
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
_TEXT = re.compile(r"> ?[^ <][^<]*+")
_SPACE = re.compile(r"[ \t\n\f\r]+")
_ATTRIBUTE_SELECTOR = re.compile(r"\[[ \t\n\f\r]*([a-z][a-z0-9_-]*)[ \t\n\f\r]*(?=[\]=~^$*|])(?!\|[^=])")
_SEES_STATES = re.compile(
    r":(?:checked|lang|dir|enabled|disabled|required|optional|read-|default|placeholder|indeterminate|target)"
)
_SEES_LINKS = re.compile(r":(?:any-)?link|:visited")
_SHEET = "<style></style>"
# link and base name files; the others hold raw text, which the copy has none of.
_DROPPED = frozenset(("link", "base", "script", "title", "xmp", "noembed", "noframes", "plaintext"))
_FIND_TYPE = Finder("type")
_INLINER = CSSInliner(load_remote_stylesheets=False, keep_style_tags=False, keep_link_tags=False)
# Texts and attributes recur in messages of one sender; what is remembered of them is bounded by these.
_REMEMBERED = 262_144  # characters
_REMEMBERED_LENGTH = 1024


class CalculatorError(Exception):
    """css_inline cannot be asked about this part, or failed on it; the text says why."""


class Profile:
    """What the selectors of one set of sheets can see of a document beside its elements.

    ``everything``: nothing may be left out. ``bare`` and ``kept`` are remembered from part to part.
    """

    def __init__(self, sheets: tuple[str, ...]) -> None:
        css = uncommented("".join(sheets).lower())
        named = _ATTRIBUTE_SELECTOR.findall(css)
        self.everything = (
            css.count("[") != len(named)
            or "\\" in css
            or _BARE_MARK in named
            or _SEES_STATES.search(css) is not None
        )
        self.mark = _FULL_MARK if self.everything else _BARE_MARK
        self._links = _SEES_LINKS.search(css) is not None
        self._names = frozenset(("class", "id", *named)) - {"style"}
        self._seen = re.compile("|".join(map(re.escape, (*self._names, *(["href"] if self._links else [])))))
        self._gaps: dict[str, str] = {}
        self._attributes: dict[str, str] = {}
        self._size = 0

    def bare(self, gap: str) -> str:
        """Return a gap between tags without comments, texts cut down to ``x``."""
        if self.everything:
            return without_comments(gap)
        known = self._gaps.get(gap)
        if known is None:
            known = _TEXT.sub(">x", ">" + _SPACE.sub(" ", without_comments(gap)))[1:]
            self._remember(self._gaps, gap, known)
        return known

    def kept(self, attributes: str) -> str:
        """Return those attributes that selectors may look at; never ``style``."""
        known = self._attributes.get(attributes)
        if known is None:
            if not self.everything and not self._seen.search(attributes.lower()):
                return ""
            known = "".join(map(self._segment, _SEGMENT.findall(attributes)))
            self._remember(self._attributes, attributes, known)
        return known

    def _remember(self, memory: dict[str, str], key: str, value: str) -> None:
        if len(key) > _REMEMBERED_LENGTH:
            return
        self._size += len(key) + len(value)
        if self._size > _REMEMBERED:
            self._gaps.clear()
            self._attributes.clear()
            self._size = 0
        memory[key] = value

    def _segment(self, segment: str) -> str:
        word = segment.lstrip(" \t\n\f\r/")
        found = _NAME.match(word)
        name = found[0].lower() if found else "style"
        if self.everything:
            # An empty value would take the number that follows for its own.
            return "" if name in ("style", _FULL_MARK) or word.endswith("=") else " " + word
        if name in self._names:
            word += '""' if word.endswith("=") else ""
            # "<" and ">" would end a text that is none; as references they mean the same.
            return " " + word.replace("<", "&lt;").replace(">", "&gt;")
        return " href" if self._links and name == "href" else ""


@lru_cache(maxsize=16)
def _profile(sheets: tuple[str, ...]) -> Profile:
    return Profile(sheets)


def profile(sheets: list[str]) -> Profile:
    """Return the profile of these sheets, the same one each time while it is remembered."""
    return _profile(tuple(sheets))


def is_css(attributes: str) -> bool:
    """Say whether a ``<style>`` element with these attributes holds CSS."""
    kind = _FIND_TYPE(attributes) if attributes else None
    return kind is None or decode(kind.raw).strip().lower() in ("", "text/css")


def sheets_of(styles: list[Style]) -> list[str]:
    """Return the contents of those elements that hold CSS."""
    return [style.content for style in styles if is_css(style.attributes)]


@dataclass(frozen=True, slots=True)
class Skeleton:
    """One scan, reduced to what selectors see: a piece for each tag, and what stands after the last."""

    pieces: list[str]
    tail: str


def skeleton(scan: Scan, view: Profile) -> Skeleton:
    """Return the skeleton of a scan; two scans with the same one get the same styles."""
    bare, kept = view.bare, view.kept
    pieces: list[str] = []
    for _, name, attributes, gap in scan.tags:
        if name in _DROPPED:
            pieces.append(bare(gap))
        elif name == "style":
            pieces.append(bare(gap) + _SHEET if is_css(attributes) else bare(gap))
        else:
            pieces.append(f"{bare(gap)}<{name}{kept(attributes)}")
    return Skeleton(pieces, bare(scan.tail))


class BareCopy:
    """A copy under construction: ``add`` what it is made of, then ask for ``styles``."""

    def __init__(self, sheets: list[str], view: Profile) -> None:
        self._sheets = sheets
        self._view = view
        self._pieces: list[str] = []
        self._count = 0

    def add(self, tags: list[Tag], pieces: list[str]) -> range:
        """Add tags, ``pieces`` being those of their skeleton; return their numbers."""
        first, mark = self._count, self._view.mark
        for number, (tag, piece) in enumerate(zip(tags, pieces, strict=True), first):
            numbered = tag[1] not in _DROPPED and tag[1] != "style"
            self._pieces.append(f'{piece} {mark}="{number}">' if numbered else piece)
        self._count += len(tags)
        return range(first, self._count)

    def add_text(self, bare: str) -> None:
        """Add what stands between tags, comments left out."""
        self._pieces.append(bare)

    def styles(self, wanted: range | set[int]) -> dict[int, str]:
        """Return what rules say about the tags with a number in ``wanted`` that any apply to.

        The styles read as they may stand between double quotes. Raises CalculatorError.
        """
        result: dict[int, str] = {}
        for word, style in _RESULT[self._view.mark].findall(_compute(self._text(), self._count)):
            number = int(word)
            if number in wanted:
                result.setdefault(number, style)  # an element that the parser cloned comes again
        if not all(map(_sound, result.values())):
            raise CalculatorError("a quote in <style> that is not closed")
        return {number: _as_value(style) for number, style in result.items()}

    def _text(self) -> str:
        blocks = "".join(self._pieces).split(_SHEET)
        pieces = [blocks[0]]
        try:
            sheets = [plain_quotes(sheet) for sheet in self._sheets]
        except CssTextError as error:
            raise CalculatorError(str(error)) from error
        for place, block in enumerate(blocks[1:]):
            sheet = sheets[place] if place < len(sheets) else ""
            pieces += ("<style>", sheet, "</style>", block)
        return "".join(pieces)


def conditional_copy(
    scan: Scan, sheets: list[str], view: Profile, whole: Skeleton, count: int
) -> tuple[BareCopy, dict[int, tuple[int, int]]]:
    """Return a copy with the first ``count`` conditional comments opened, and which tags are theirs.

    The second maps a tag's number to its comment, counted from 1, and its place there. The copy ends with the
    last comment: what follows changes nothing for elements before it but by selectors that look
    ahead, and those are rare enough to be left to the block.
    """
    copy = BareCopy(sheets, view)
    wanted: dict[int, tuple[int, int]] = {}
    place = used = 0  # the next tag, and how much of the gap before it is in the copy
    for order, conditional in enumerate(scan.conditionals[:count], 1):
        if conditional.index > place:
            pieces = whole.pieces[place : conditional.index]
            if used:
                gap = scan.tags[place][3]
                pieces[0] = view.bare(gap[used:]) + pieces[0].removeprefix(view.bare(gap))
            copy.add(scan.tags[place : conditional.index], pieces)
            place, used = conditional.index, 0
        gap = scan.tags[place][3] if place < len(scan.tags) else scan.tail
        copy.add_text(view.bare(gap[used : conditional.gap]))
        used = conditional.gap
        own = skeleton(conditional.scan, view)
        numbers = copy.add(conditional.scan.tags, own.pieces)
        wanted.update((number, (order, at)) for at, number in enumerate(numbers))
        copy.add_text(own.tail)
    return copy, wanted


def _sound(style: str) -> bool:
    """Say whether quotes are in pairs, so that the style may stand between double quotes."""
    return style.count("'") % 2 == 0


def _as_value(style: str) -> str:
    """Return CSS, which css_inline writes as it stood in the sheet, as it may stand between double quotes."""
    if "\n" in style or "\r" in style:
        style = " ".join(style.split())
    return style.replace("&", "&amp;")


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
