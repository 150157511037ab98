"""images=hosted: embedded images (``embedded``) are kept elsewhere and referenced by URL.

An image part goes only when nothing refers to it any more: every reference in every HTML part was
rewritten, no part was closed to us, and no Content-Location names it. Otherwise it stays, and the
references that could be rewritten lead to its copy. The first part of a multipart always stays.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from gatepost_core.domain.images import QuotaError
from gatepost_milter.editing.edits import Edit, splice
from gatepost_milter.editing.headers import Headers
from gatepost_milter.features.embedded import Candidate, candidates, texts_beside
from gatepost_milter.html.attributes import decode, unescaped
from gatepost_milter.html.part import Outcome
from gatepost_milter.html.references import part_references, style_references
from gatepost_milter.parts.transfer import TransferError, open_part
from gatepost_milter.surgery.feature import NO_CLICK_DOMAIN, NOTHING, Change, Feature, NotPossible
from gatepost_milter.surgery.letter import Letter, Page

_CID = re.compile(r"[ \t\n\f\r]*+cid:", re.IGNORECASE)
# Characters to look through, each once for each image: what is not looked through may refer to all of them.
SEARCHED_MOST = 50_000_000


class HostedImages(Feature):
    """The embedded images of a message and what becomes of them."""

    name = step = "images"
    reads_html = True

    def __init__(self, letter: Letter) -> None:
        super().__init__(letter)
        if letter.context.host is None:
            raise NotPossible(NO_CLICK_DOMAIN)
        self._host = letter.context.host
        self._closed = ""
        self._room = SEARCHED_MOST
        self._candidates: dict[str, Candidate] = {}
        self._reason = ""
        if letter.pages:
            self._candidates, self._reason = candidates(
                letter.root, letter.message.body, letter.context.image_size_limit
            )
            if not self._candidates:
                raise NotPossible(self._reason or "no embedded image")

    def edits(self, page: Page) -> Outcome:
        """Return the edits of a page's references to images. Raises NotPossible when one cannot be kept."""
        references = page.html.once(part_references)
        edits: list[Edit[str]] = []
        try:
            for place, raw in references.common + references.some:
                address = self._address(raw)
                if address:
                    edits.append((place, place + len(raw), address))
            page.rewrite_styles(self._in_style)
        except Exception as error:
            self._closed = "may be referred to where nothing was changed"
            if not isinstance(error, OSError):
                raise
            raise NotPossible("the image store cannot be written", note=str(error)) from error
        return Outcome(edits, "" if edits else "no reference to an embedded image")

    def finish(self, headers: Headers) -> Change:
        """Return the edits that take out the images that nothing refers to any more."""
        del headers
        if not self._candidates:
            return NOTHING
        for page in self.letter.pages:
            if page.fault:
                self._closed = f"may be referred to where nothing can be changed: {page.fault}"
            else:
                self._look_through(page)
        removals = self._removals()
        return Change(reason=self._reason, body=tuple(removals))

    def _in_style(self, style: str) -> str:
        """Return a style that is to be inserted, with its references rewritten as well."""
        if "cid:" not in style.lower():
            return style
        edits = [
            (at, at + len(raw), address)
            for at, raw in style_references(style)
            if (address := self._address(raw))
        ]
        return splice(style, edits)

    def _address(self, raw: str) -> str:
        found = _CID.match(raw)
        if found is None:
            return ""
        candidate = self._candidates.get(unquote(decode(raw[found.end() :])).strip(" \t\n\f\r"))
        if candidate is None or candidate.refused:
            return ""
        if not candidate.address:
            try:
                candidate.address = self._host(candidate.data, candidate.type)
            except QuotaError as error:
                candidate.refused = str(error)
                return ""
        candidate.rewritten += 1
        return candidate.address

    def _look_through(self, page: Page) -> None:
        """Find what of a page still refers to an image after its edits; such an image stays."""
        text = unquote(unescaped(splice(page.html.text, page.edits)))
        if not self._may_search(len(text)):
            return
        for name, candidate in self._candidates.items():
            if name in text:
                candidate.kept = "is referred to where it cannot be rewritten"

    def _removals(self) -> list[Edit[bytes]]:
        edits: list[Edit[bytes]] = []
        named = self._named_elsewhere()
        for name, candidate in self._candidates.items():
            part = candidate.part
            why = candidate.kept or self._closed
            if candidate.refused:
                why = candidate.refused
            elif not candidate.rewritten:
                why = "is not referred to"
            elif not why and name in named:
                why = "is referred to by a part that is not HTML"
            if why:
                self._reason = f"{part.label} stays: it {why}"
            else:
                edits.append((part.whole[0], part.whole[1], b""))
        return edits

    def _named_elsewhere(self) -> frozenset[str]:
        """Return the images that parts refer to which are not HTML: all of them, where that is not known."""
        left = {name: name.encode("utf-8", "surrogateescape") for name in self._candidates}
        found: set[str] = set()
        if self._closed:
            return frozenset()
        letter = self.letter
        for part in texts_beside(letter.root, {page.part.number for page in letter.pages}):
            try:
                raw = open_part(part.encoding, letter.message.body[part.start : part.end]).decoded
            except TransferError:
                return frozenset(left)
            if not self._may_search(len(raw)):
                return frozenset(left)
            found |= {name for name, wanted in left.items() if wanted in raw}
        return frozenset(found)

    def _may_search(self, size: int) -> bool:
        """Say whether a text of this size may be searched for every image; if not, all of them stay."""
        self._room -= size * len(self._candidates)
        if self._room < 0:
            self._closed = "may be referred to: there is too much to look through"
        return self._room >= 0
