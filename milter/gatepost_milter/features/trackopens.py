"""trackopens: remote images lead through the click domain; a message without any gets a 1x1 image.

Images are found by ``html.references``, rewritten as ``urls`` says. The 1x1 image stands before
``</body>``, or at the end; not where nobody would see it, because the text ends within a tag or a
raw-text element.
"""

from __future__ import annotations

from functools import cached_property

from gatepost_milter.editing.edits import Edit, splice
from gatepost_milter.features.targets import Targets, targets
from gatepost_milter.features.urls import Redirector
from gatepost_milter.html.gaps import end_tags
from gatepost_milter.html.part import HtmlPart, Outcome
from gatepost_milter.html.references import Reference, part_references, style_references
from gatepost_milter.parts.locations import locations
from gatepost_milter.surgery.feature import NO_CLICK_DOMAIN, TRACKING_OFF, Feature, NotPossible
from gatepost_milter.surgery.letter import Letter, Page

# Out of the flow and over the pixel before it, so that nothing moves; where a mail program drops "position"
# or a negative margin, it is a line of one pixel. A sheet's "img { width: 100% }" must not stretch it.
_STYLE = "".join(
    f"{declaration}!important;"
    for declaration in (
        "display:block",
        "position:absolute",
        "width:1px",
        "height:1px",
        "min-width:0",
        "min-height:0",
        "max-width:1px",
        "max-height:1px",
        "margin:-1px 0 0",
        "padding:0",
        "border:0",
        "background:none",
    )
)[:-1]
_PIXEL = f'<img src="{{}}" width="1" height="1" alt="" style="{_STYLE}">'


class TrackOpens(Feature):
    """Rewrites remote images. One that only Outlook fetches does not count: it tells of few readers."""

    name = step = "trackopens"
    reads_html = True

    def __init__(self, letter: Letter) -> None:
        super().__init__(letter)
        if letter.features["tracking"] == "off":
            raise NotPossible(TRACKING_OFF)
        if letter.context.opens is None:
            raise NotPossible(NO_CLICK_DOMAIN)
        self._rewrite = letter.context.opens
        self._located = locations(letter.root)

    def edits(self, page: Page) -> Outcome:
        """Return the edits of a page's remote images; in the first that of the 1x1 image, if none has any."""
        redirector = self._redirector(page)
        common, some = (redirector.edits(page.html.once(each)) for each in (common_images, some_images))
        page.rewrite_styles(lambda style: in_style(style, redirector))
        if common:
            return Outcome(common + some)
        if not self._wants_pixel:
            return Outcome(some, "" if some else "no remote image")
        if page is not self.letter.pages[0]:
            return Outcome(some)
        added = pixel(page.html, self.letter.context.pixel)
        return Outcome(some + added.edits, added.reason)

    @cached_property
    def _wants_pixel(self) -> bool:
        """Whether the first page needs a 1x1 image, because no page has a remote image."""
        pages = [page for page in self.letter.pages if not page.fault]
        return bool(self.letter.context.pixel) and not any(map(self._fetched, pages))

    def _fetched(self, page: Page) -> bool:
        redirector = self._redirector(page)
        return bool(redirector.edits(page.html.once(common_images)))

    def _redirector(self, page: Page) -> Redirector:
        return Redirector(self._rewrite, utf8=page.html.utf8, located=self._located)


def remote_images(references: list[Reference], redirector: Redirector) -> list[Edit[str]]:
    """Return the edits of those references that are remote images."""
    return redirector.edits(targets(references, utf8=redirector.utf8))


def common_images(part: HtmlPart) -> Targets:
    """Return the remote images that every program which shows images may fetch."""
    return targets(part.once(part_references).common, utf8=part.utf8)


def some_images(part: HtmlPart) -> Targets:
    """Return the remote images in conditional comments."""
    return targets(part.once(part_references).some, utf8=part.utf8)


def in_style(style: str, redirector: Redirector) -> str:
    """Return a style that is to be inserted, with its remote images rewritten as well."""
    edits = remote_images(list(style_references(style)), redirector)
    return splice(style, edits) if edits else style


def pixel_tag(address: str) -> str:
    """Return the element of a 1x1 image of this address, which needs no escaping."""
    return _PIXEL.format(address)


def pixel(part: HtmlPart, address: str) -> Outcome:
    """Return the edit that adds a 1x1 image of this address (which needs no escaping)."""
    place = last_place(part)
    if place is None:
        return Outcome(reason="the HTML ends within a tag or an element that shows no image")
    return Outcome([(place, place, pixel_tag(address))])


def last_place(part: HtmlPart) -> int | None:
    """Return where an element can be added, before ``</body>`` or at the end; None: nowhere."""
    scan = part.scan
    if scan.open_end:
        return None
    # Not ``scan.tail``: it leaves out conditional comments, which stand in the way of counting.
    tail = part.text[scan.tail_start :]
    closing = next((start for start, name in end_tags(tail) if name in ("body", "html")), None)
    return scan.tail_start + (len(tail.rstrip(" \t\r\n")) if closing is None else closing)
