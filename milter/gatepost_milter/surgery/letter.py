"""A message at work: its HTML parts opened as pages, which features edit, and written back once.

A page that cannot be read, or not be written back the same, stays as it came, with a reason in words. Never
raises.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from time import perf_counter

from gatepost_core.domain import FeatureValues
from gatepost_milter.editing.edits import Edit, OverlapError, ordered, splice
from gatepost_milter.editing.headers import Headers
from gatepost_milter.editing.message import Message
from gatepost_milter.html.opened import Opened, open_html
from gatepost_milter.html.part import HtmlPart
from gatepost_milter.html.room import Room
from gatepost_milter.parts import bodies
from gatepost_milter.parts.charsets import CharsetError
from gatepost_milter.parts.labels import labelled
from gatepost_milter.parts.mime import Part, view
from gatepost_milter.parts.transfer import Identity, TransferError, has_long_line, to_quoted_printable
from gatepost_milter.surgery.context import Context
from gatepost_milter.surgery.record import Record

# A part without HTML is no failure worth a sentence of its own.
_NO_HTML = "no HTML part"


@dataclass(slots=True)
class Page:
    """One HTML part at work. ``fault``: why it stays as it came; then there is nothing to edit.

    ``edits`` are what features want of its text. ``styles`` are edits as well: they insert CSS of the part's
    own sheets into attributes, so whoever rewrites addresses in sheets does so in these. ``body``: the part's
    new body, once it is written and has changed; ``encoding``: its new transfer encoding, if that has.
    """

    part: Part
    opened: Opened | None
    fault: str = ""
    edits: list[Edit[str]] = field(default_factory=list[Edit[str]])
    styles: list[Edit[str]] = field(default_factory=list[Edit[str]])
    body: bytes | None = None
    encoding: str = ""

    @property
    def html(self) -> HtmlPart:
        """The part's text and what is known of it; only of a page without a fault."""
        assert self.opened is not None  # noqa: S101  # such a page is given to no feature
        return self.opened.html

    def rewrite_styles(self, rewrite: Callable[[str], str]) -> None:
        """Rewrite the addresses in CSS that is to be inserted."""
        self.styles = [(start, end, rewrite(css)) for start, end, css in self.styles]

    def write(self) -> None:
        """Encode the part anew, with its edits. Raises CharsetError, OverlapError."""
        if self.opened is None or not (self.edits or self.styles):
            return
        self.edits = ordered([*self.edits, *self.styles], len(self.html.text))
        self.body = self.opened.written(self.edits)
        if isinstance(self.opened.transfer, Identity) and has_long_line(self.body):
            self.body, self.encoding = to_quoted_printable(self.body), "quoted-printable"


class Letter:
    """A message, what is wanted of it, and what became of that so far. Read once somebody asks.

    ``features``: the values in force. ``editors``: the names of those that edit pages. ``removed`` are edits
    of the body that take parts out.
    """

    def __init__(
        self,
        message: Message,
        context: Context,
        features: FeatureValues,
        record: Record,
        editors: tuple[str, ...] = (),
    ) -> None:
        self.message = message
        self.context = context
        self.features = features
        self.record = record
        self._editors = editors
        self.removed: list[Edit[bytes]] = []
        self._written: list[Page] = []

    @cached_property
    def root(self) -> Part:
        """The message's parts."""
        began = perf_counter()
        root = view(self.message.headers, self.message.body)
        self.record.spend("view", began)
        return root

    @cached_property
    def pages(self) -> list[Page]:
        """The HTML parts that may be edited; the others' reasons go on record."""
        root, began = self.root, perf_counter()
        room = Room(len(self.message.body))
        pages = [self._opened(part, room) for part in self._html_parts(root)]
        self.record.spend("view", began)
        return pages

    def write(self, page: Page) -> None:
        """Write a page back once its edits are there; one that cannot be written stays as it came."""
        if not page.fault:
            began = perf_counter()
            try:
                page.write()
            except Exception as error:  # noqa: BLE001  # the other pages are still worth editing
                self._close(page, error)
            self.record.spend("render", began)
        if page.fault:
            self.record.skip_all(self._editors, page.fault)
        elif page.body is not None:
            self._written.append(page)

    @property
    def edited(self) -> bool:
        """Whether anything in the body changes, so far."""
        return bool(self._written or self.removed)

    def written(self, headers: Headers | None) -> tuple[bytes | None, Headers | None]:
        """Return the body with all pages that changed and without what is removed, and the header for it.

        None: unchanged. Raises OverlapError.
        """
        pages = self._written
        edits = [*self.removed, *((page.part.start, page.part.end, page.body or b"") for page in pages)]
        labels = [(page.part, page.encoding) for page in pages if page.encoding]
        if labels:
            headers = labelled(labels, headers or Headers.of(self.message.headers), edits)
        if not edits:
            return None, headers
        return splice(self.message.body, ordered(edits, len(self.message.body))), headers

    def _close(self, page: Page, error: Exception) -> None:
        """Leave a page as it came."""
        label = _label(page.part)
        if isinstance(error, TransferError | CharsetError | OverlapError):
            page.fault = f"{label} {error}"
        else:
            page.fault = "internal error"
            self.record.notes.append(f"{label}: {type(error).__name__}: {error}")

    def _opened(self, part: Part, room: Room) -> Page:
        page = Page(part, None)
        try:
            raw = self.message.body[part.start : part.end]
            charset = part.parameters.get("charset")
            page.opened = open_html(part.encoding, charset, raw, self.context.owner, room)
        except Exception as error:  # noqa: BLE001  # the other parts are still worth editing
            self._close(page, error)
        return page

    def _html_parts(self, root: Part) -> list[Part]:
        parts: list[Part] = []
        reason = _NO_HTML
        attached = {id(part): why for part, why in bodies.files(root)}
        for part in root.walk():
            why = part.fault or part.protected or attached.get(id(part), "")
            if why and (part.fault or part.type == "text/html" or not part.children):
                if part.type == "text/html" or part.fault or part.protected:
                    reason = ""
                    self.record.skip_all(self._editors, f"{part.label} {why}")
            elif part.type == "text/html":
                parts.append(part)
        if not parts and reason:
            self.record.skip_all(self._editors, reason)
        return parts


def _label(part: Part) -> str:
    return f"HTML part {part.number}" if part.number else "the HTML body"
