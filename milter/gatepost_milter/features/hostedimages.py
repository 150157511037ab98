"""images=hosted: embedded images (RFC 2392, ``cid:``) are kept elsewhere and referenced by URL.

An image part goes only when nothing refers to it any more: every reference in every HTML part was
rewritten, no part was closed to us, and no Content-Location names it. Otherwise it stays, and the
references that could be rewritten lead to its copy. The first part of a multipart always stays.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from urllib.parse import unquote

from gatepost_core.domain.images import QuotaError, type_of
from gatepost_milter.editing.edits import Edit, splice
from gatepost_milter.features.context import ImageHost
from gatepost_milter.html.attributes import decode, unescaped
from gatepost_milter.html.part import HtmlPart, Outcome
from gatepost_milter.html.references import Reference, style_references
from gatepost_milter.parts.mime import Part
from gatepost_milter.parts.transfer import TransferError, open_part

_CID = re.compile(r"[ \t\n\f\r]*+cid:", re.IGNORECASE)
# More than that is no message of a person's or a newsletter's.
IMAGES_MOST = 100
# Characters to look through, each once for each image: what is not looked through may refer to all of them.
SEARCHED_MOST = 50_000_000


@dataclass(slots=True)
class Candidate:
    """An image part that may be hosted. ``address`` once it is; ``rewritten`` counts references.

    ``refused``: why it is not hosted.
    """

    part: Part
    data: bytes
    type: str
    address: str = ""
    rewritten: int = 0
    kept: str = ""
    refused: str = ""


class HostedImages:
    """The embedded images of a message and what becomes of them; ``edited`` are the HTML parts to rewrite."""

    def __init__(self, root: Part, edited: list[Part], body: bytes, host: ImageHost, size_limit: int) -> None:
        self.reason = ""
        self._host = host
        self._candidates: dict[str, Candidate] = {}
        self._closed = ""
        self._room = SEARCHED_MOST
        parts = list(root.walk())
        own = {part.number for part in edited}
        self._others = [
            part
            for part in parts
            if not part.children
            and not part.type.startswith(("image/", "application/", "audio/", "video/", "font/"))
            and (part.type != "text/plain" or part.protected)
            and part.number not in own
        ]
        self._body = body
        roots = {child.number for part in parts for child in part.children[:1]}
        starts = {part.parameters.get("start", "").strip("<>") for part in parts}
        ids = Counter(part.content_id for part in parts if part.content_id)
        for part in parts:
            if part.content_id and part.type.startswith("image/"):
                why = self._unfit(part, roots, starts, ids) or self._opened(part, size_limit)
                self.reason = why or self.reason

    def __bool__(self) -> bool:
        """Say whether there is any image to host."""
        return bool(self._candidates)

    def _unfit(self, part: Part, roots: set[str], starts: set[str], ids: Counter[str]) -> str:
        """Return why an image stays as it is, empty if its bytes decide."""
        if part.protected or part.fault:
            return f"{part.label} {part.protected or part.fault}"
        if not part.number or part.number in roots or part.content_id in starts or part.whole[0] < 0:
            return f"{part.label} holds its multipart together"
        if part.location:
            return f"{part.label} has a Content-Location"
        if ids[part.content_id] > 1:
            return f"{part.label} has a Content-ID that others have"
        return f"more than {IMAGES_MOST} images" if len(self._candidates) >= IMAGES_MOST else ""

    def _opened(self, part: Part, size_limit: int) -> str:
        if part.end - part.start > 2 * size_limit:
            return f"{part.label} is larger than {size_limit} bytes"
        try:
            data = open_part(part.encoding, self._body[part.start : part.end]).decoded
        except TransferError as error:
            return f"{part.label} {error}"
        kind = type_of(data)
        if kind is None:
            return f"{part.label} is no image that can be hosted"
        if len(data) > size_limit:
            return f"{part.label} is larger than {size_limit} bytes"
        self._candidates[part.content_id] = Candidate(part, data, kind)
        return ""

    def rewrite(self, references: list[Reference]) -> Outcome:
        """Return the edits of one part's references. Raises OSError when an image cannot be kept."""
        edits: list[Edit[str]] = []
        for place, raw in references:
            address = self._address(raw)
            if address:
                edits.append((place, place + len(raw), address))
        return Outcome(edits, "" if edits else "no reference to an embedded image")

    def in_style(self, style: str) -> str:
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

    def look_through(self, part: HtmlPart, edits: list[Edit[str]]) -> None:
        """Find what of a part still refers to an image after its edits; such an image stays."""
        if self._candidates:
            text = unquote(unescaped(splice(part.text, edits)))
            if not self._may_search(len(text)):
                return
            for name, candidate in self._candidates.items():
                if name in text:
                    candidate.kept = "is referred to where it cannot be rewritten"

    def close(self, reason: str) -> None:
        """Note an HTML part that cannot be read or edited: whatever it refers to has to stay."""
        self._closed = reason

    def removals(self) -> list[Edit[bytes]]:
        """Return the edits of the body that take out the images that nothing refers to any more."""
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
                self.reason = f"{part.label} stays: it {why}"
            else:
                edits.append((part.whole[0], part.whole[1], b""))
        return edits

    def _named_elsewhere(self) -> frozenset[str]:
        """Return the images that parts refer to which are not HTML: all of them, where that is not known."""
        left = {name: name.encode("utf-8", "surrogateescape") for name in self._candidates}
        found: set[str] = set()
        for part in self._others if not self._closed else ():
            try:
                raw = open_part(part.encoding, self._body[part.start : part.end]).decoded
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
            self.close("may be referred to: there is too much to look through")
        return self._room >= 0
