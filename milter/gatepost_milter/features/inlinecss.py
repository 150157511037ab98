"""inlinecss: rules of ``<style>`` blocks copied into ``style`` attributes; the blocks stay.

Sheets are read by ``css.book``, what their selectors match is calculated by css_inline on a bare copy
(``css.copy``), and what of that is written is decided by ``css.cascade``: a document looks the same as before
wherever blocks count. Elements in conditional comments are calculated from a second copy in which those
comments are opened.

No file and no network is touched: ``<link>`` and ``<base>`` are bare in the copy, and @import is not
followed. Where selectors that look at ``style`` attributes might see what is written (``stylesight``),
nothing is. That, and what would take more steps than a message is allowed (``css.weight``), has
``Outcome.reason``.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from gatepost_core.domain.memo import Recent
from gatepost_milter.css import book as books
from gatepost_milter.css.attributes import edits as attribute_edits
from gatepost_milter.css.attributes import has_style
from gatepost_milter.css.book import Book, Source
from gatepost_milter.css.calculator import CalculatorError, Compute, at_once
from gatepost_milter.css.cascade import written
from gatepost_milter.css.copy import (
    Calculation,
    conditional_calculation,
    entries,
    main_calculation,
    words,
)
from gatepost_milter.css.sheets import in_quirks_mode, sources
from gatepost_milter.css.stylesight import seen, sought
from gatepost_milter.css.view import Skeleton, skeleton
from gatepost_milter.css.weight import STEPS_MOST, Allowance
from gatepost_milter.editing.edits import Edit
from gatepost_milter.html.csstext import CssTextError
from gatepost_milter.html.part import HtmlPart, Outcome
from gatepost_milter.html.scanner import Scan
from gatepost_milter.html.slots import ATTRIBUTES
from gatepost_milter.html.template import Spans
from gatepost_milter.surgery.feature import Feature, NotPossible
from gatepost_milter.surgery.letter import Page

# What is read of a message in any case. Real newsletters have below 2,000 elements and 500 rules.
TAGS_MOST = 20_000
CSS_MOST = 262_144

# The part (0) or the conditional comment (from 1), the tag's place there, the style before and behind its
# own.
_Styled: TypeAlias = tuple[int, int, str, str]
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
        "track",
        "xmp",
        "noembed",
        "noframes",
        "plaintext",
    )
)
_NO_RULE = "no rule that applies"
_MERGED = frozenset(("html", "body"))


class _Computed(NamedTuple):
    """Styles, what it takes to find them, and why there may be none."""

    steps: int
    styles: list[_Styled]
    reason: str


class _Done(NamedTuple):
    """What became of a part, known by this hash: it took these steps, for so many rules.

    ``tested``: the attributes that selectors look at, beside class and id.
    """

    outcome: Outcome
    part: int = 0
    steps: int = 0
    rules: int = 0
    tested: frozenset[str] = frozenset()


class _Page(NamedTuple):
    """A part as it is calculated. ``key`` is all that its styles depend on."""

    scan: Scan
    book: Book
    whole: Skeleton
    quirks: bool
    key: tuple[str, ...]


# Books by their sheets, and styles by what they depend on; each at most some megabytes.
_BOOKS: Recent[tuple[tuple[Source, ...], bool], Book] = Recent(
    8, weigh=lambda book: book.rules, weight_most=8_000
)
_COMPUTED: Recent[tuple[str, ...], _Computed] = Recent(32)
_KEY_MOST = 65536
# Characters written into one part that are kept with it. One rule may be long, and apply to all elements.
_WRITTEN_MOST = 262_144


class InlineCss(Feature):
    """Copies rules into style attributes."""

    name = step = "inlinecss"
    reads_html = True
    left_out_first = True

    def edits(self, page: Page) -> Outcome:
        """Return the style attributes to write; those with addresses go into ``page.styles``."""
        context = self.letter.context
        try:
            outcome = inline(page.html, context.allowance, context.calculate)
        except CalculatorError as error:
            raise NotPossible(str(error)) from error
        page.styles = [edit for edit in outcome.edits if "url(" in edit[2]]
        if not page.styles:
            return outcome
        return Outcome([edit for edit in outcome.edits if "url(" not in edit[2]], outcome.reason, done=True)


def inline(part: HtmlPart, allowance: Allowance | None = None, calculate: Compute = at_once) -> Outcome:
    """Return the style attributes to write. Raises CalculatorError.

    ``allowance`` is that of the message; without one this part has one to itself.
    """
    allowance = allowance or Allowance()
    done: _Done | None = part.derived.get(inline) or _of_sample(part)
    if done is None:
        done = _inlined(part, allowance, calculate)
        if sum([len(new) for _, _, new in done.outcome.edits]) <= _WRITTEN_MOST:
            part.derived[inline] = done
    elif not allowance.take(done.steps, done.part):
        raise _too_many(part.scan, done.rules, done.steps)
    return done.outcome


def _of_sample(part: HtmlPart) -> _Done | None:
    """Return what became of an earlier part that selectors cannot tell from this one, edits moved."""
    sample, like = part.sample, part.like
    done: _Done | None = sample.derived.get(inline) if sample is not None else None
    if sample is None or like is None or done is None or not done.tested.isdisjoint(ATTRIBUTES):
        return None
    spans: Spans | None = sample.derived.get(_of_sample)
    if spans is None:
        ranges = [(start, end) for start, end, _ in done.outcome.edits]
        spans = sample.derived[_of_sample] = Spans(like.template, ranges)
    new = [new for _, _, new in done.outcome.edits]
    edits = list(zip(*spans.columns(like), new, strict=True))
    return done._replace(outcome=Outcome(edits, done.outcome.reason))


def _inlined(part: HtmlPart, allowance: Allowance, calculate: Compute) -> _Done:
    """Return what is to be written. Raises CalculatorError."""
    scan = part.scan
    sheets = sources(part)
    opened = tuple([source.css for source in sheets])
    if not any("{" in sheet for sheet in opened):
        return _Done(Outcome(reason="no <style> rule"))
    reason = _too_large(scan, opened)
    if reason:
        return _Done(Outcome(reason=reason))
    reason, texts = sought("\n".join(opened))
    if reason:
        return _Done(Outcome(reason=reason))
    page = _page(part, sheets)
    computed = _styles(page, allowance, calculate)
    outcome = _outcome(scan, computed, texts)
    return _Done(outcome, hash(page.key), computed.steps, page.book.rules, page.book.view.tested)


def _outcome(scan: Scan, computed: _Computed, texts: tuple[str, ...]) -> Outcome:
    """Return the edits that write styles, or why none are."""
    edits: list[Edit[str]] = []
    scans = [scan, *(conditional.scan for conditional in scan.conditionals)]
    for order, place, normal, important in computed.styles:
        start, name, attributes, _ = scans[order].tags[place]
        if name in _MERGED and _styled_later(scans[order], place):
            continue
        for first, last, new in attribute_edits(name, attributes, normal, important):
            if texts and (reason := seen(texts, new)):
                return Outcome(reason=reason)
            edits.append((start + first, start + last, new))
    return Outcome(edits, "" if edits else computed.reason)


def _styled_later(scan: Scan, place: int) -> bool:
    """Say whether a later tag has the style that the first lacks and gets (HTML section 13.2.6.4.7)."""
    name, attributes = scan.tags[place][1:3]
    return not has_style(attributes) and any(
        tag[1] == name and has_style(tag[2]) for tag in scan.tags[place + 1 :]
    )


def _page(part: HtmlPart, sheets: tuple[Source, ...]) -> _Page:
    """Return what there is to calculate. Raises CalculatorError."""
    scan = part.scan
    quirks = in_quirks_mode(part.text)
    book = _BOOKS.get((sheets, quirks))
    if book is None:
        try:
            book = books.read(sheets, quirks=quirks)
        except CssTextError as error:
            raise CalculatorError(str(error)) from error
        _BOOKS.put((sheets, quirks), book)
    whole = skeleton(scan, book.view)
    key = ["quirks" if quirks else "", str(len(sheets))]
    for source in sheets:
        key += source
    # No piece holds a line end: it ends a name, and ``bare`` writes a blank for it. A NUL may be in names.
    key += ("\n".join(whole.pieces), whole.tail)
    for conditional in scan.conditionals:
        index = conditional.index
        gap = scan.tags[index][3] if index < len(scan.tags) else scan.tail
        own = skeleton(conditional.scan, book.view)
        key += (str(index), conditional.condition, book.view.bare(gap[: conditional.gap]))
        key += ("\n".join(own.pieces), own.tail)
    return _Page(scan, book, whole, quirks, tuple(key))


def _styles(page: _Page, allowance: Allowance, calculate: Compute) -> _Computed:
    """Return what applies where, computed once for all parts that selectors cannot tell apart.

    Senders of bulk mail send one template again and again, with other texts and links. Raises
    CalculatorError.
    """
    part = hash(page.key)
    known = _COMPUTED.get(page.key) or allowance.known.get(part)
    calculations = _calculations(page) if known is None else []
    steps = sum(each.steps for each in calculations) if known is None else known.steps
    if not allowance.take(steps, part):
        raise _too_many(page.scan, page.book.rules, steps)
    if known is not None:
        allowance.known[part] = known
        return known
    computed = allowance.known[part] = _computed(page, calculations, calculate)
    if sum(map(len, page.key)) <= _KEY_MOST:
        _COMPUTED.put(page.key, computed)
    return computed


def _calculations(page: _Page) -> list[Calculation]:
    """Return what to ask css_inline. Raises CalculatorError."""
    scan, book, whole, quirks = page[:4]
    asked: list[Calculation] = []
    if any(entry.copied and not entry.condition for entry in book.entries):
        asked.append(main_calculation(scan, book, whole, quirks=quirks))
    count = _reached_conditionals(scan, book)
    if count:
        asked.append(conditional_calculation(scan, book, whole, count, quirks=quirks))
    return asked


def _computed(page: _Page, calculations: list[Calculation], calculate: Compute) -> _Computed:
    """Return what applies to elements of the part (0) and of its conditional comments (from 1)."""
    scan = page.scan
    scans = [scan, *(conditional.scan for conditional in scan.conditionals)]
    conditions = ["", *(conditional.condition for conditional in scan.conditionals)]
    known: dict[tuple[str, str], tuple[str, str]] = {}  # elements that the same selectors match
    styles: list[_Styled] = []
    for calculation in calculations:
        for (order, place), found in calculation.matching(calculate):
            if not _may_have_style(scans[order].tags[place][1]):
                continue
            kind = (found, conditions[order])
            if kind not in known:
                known[kind] = written(entries(page.book, found), conditions[order])
            normal, important = known[kind]
            if normal or important:
                styles.append((order, place, normal, important))
    steps = sum(each.steps for each in calculations)
    return _Computed(steps, styles, "what applies may also be set by rules that stay" if known else _NO_RULE)


def _too_large(scan: Scan, sheets: tuple[str, ...]) -> str:
    """Return why this part is not even read; empty if it is."""
    if _tags(scan) > TAGS_MOST:
        return f"more than {TAGS_MOST} elements"
    if sum(map(len, sheets)) > CSS_MOST:
        return f"more than {CSS_MOST} characters of CSS"
    return ""


def _too_many(scan: Scan, rules: int, steps: int) -> CalculatorError:
    """Return the error for what a message is not allowed."""
    beside = " beside what is in other parts" if steps <= STEPS_MOST else ""
    return CalculatorError(f"{_tags(scan)} elements times {rules} rules are too many{beside}")


def _tags(scan: Scan) -> int:
    return len(scan.tags) + sum(len(conditional.scan.tags) for conditional in scan.conditionals)


def _reached_conditionals(scan: Scan, book: Book) -> int:
    """Return how many conditional comments to open: up to the last with an element that a rule may reach."""
    for place in range(len(scan.conditionals), 0, -1):
        tags = scan.conditionals[place - 1].scan.tags
        if any(_may_have_style(name) and _reached(name, attributes, book) for _, name, attributes, _ in tags):
            return place
    return 0


def _reached(name: str, attributes: str, book: Book) -> bool:
    return book.everything or not book.words.isdisjoint(words(name, book.view.kept(name, attributes)))


def _may_have_style(name: str) -> bool:
    """Say whether an element may get a style: HTML that is shown, or VML, but none of Office's settings."""
    return name not in _UNSTYLED and (":" not in name or name.startswith("v:"))
