"""The images that a message carries for its HTML (RFC 2392, ``cid:``): which may be taken out.

One that holds its multipart together, has a Content-Location, or shares its Content-ID stays. Never raises.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from gatepost_core.domain.images import type_of
from gatepost_milter.parts.mime import Part
from gatepost_milter.parts.transfer import TransferError, open_part

# More than that is no message of a person's or a newsletter's.
IMAGES_MOST = 100


@dataclass(slots=True)
class Candidate:
    """An image part that may be hosted. ``address`` once it is; ``rewritten`` counts references.

    ``refused``: why it is not hosted; ``kept``: why its part stays though it is.
    """

    part: Part
    data: bytes
    type: str
    address: str = ""
    rewritten: int = 0
    kept: str = ""
    refused: str = ""


def candidates(root: Part, body: bytes, size_limit: int) -> tuple[dict[str, Candidate], str]:
    """Return the images that may be taken out by their Content-IDs, and why others may not."""
    found: dict[str, Candidate] = {}
    parts = list(root.walk())
    roots = {child.number for part in parts for child in part.children[:1]}
    starts = {part.parameters.get("start", "").strip("<>") for part in parts}
    ids = Counter(part.content_id for part in parts if part.content_id)
    reason = ""
    for part in parts:
        if part.content_id and part.type.startswith("image/"):
            why = _unfit(part, roots, starts, ids)
            if not why and len(found) >= IMAGES_MOST:
                why = f"more than {IMAGES_MOST} images"
            candidate = why or _opened(part, body, size_limit)
            if isinstance(candidate, Candidate):
                found[part.content_id] = candidate
            else:
                reason = candidate
    return found, reason


def _unfit(part: Part, roots: set[str], starts: set[str], ids: Counter[str]) -> str:
    """Return why an image stays as it is, empty if its bytes decide."""
    if part.protected or part.fault:
        return f"{part.label} {part.protected or part.fault}"
    if not part.number or part.number in roots or part.content_id in starts or part.whole[0] < 0:
        return f"{part.label} holds its multipart together"
    if part.location:
        return f"{part.label} has a Content-Location"
    return f"{part.label} has a Content-ID that others have" if ids[part.content_id] > 1 else ""


def _opened(part: Part, body: bytes, size_limit: int) -> Candidate | str:
    """Return an image that may be hosted, or why it may not."""
    if part.end - part.start > 2 * size_limit:
        return f"{part.label} is larger than {size_limit} bytes"
    try:
        data = open_part(part.encoding, body[part.start : part.end]).decoded
    except TransferError as error:
        return f"{part.label} {error}"
    kind = type_of(data)
    if kind is None:
        return f"{part.label} is no image that can be hosted"
    if len(data) > size_limit:
        return f"{part.label} is larger than {size_limit} bytes"
    return Candidate(part, data, kind)


def texts_beside(root: Part, pages: set[str]) -> list[Part]:
    """Return the parts that may refer to an image, but for the pages of these numbers."""
    return [
        part
        for part in root.walk()
        if not part.children
        and not part.type.startswith(("image/", "application/", "audio/", "video/", "font/"))
        and (part.type != "text/plain" or part.protected)
        and part.number not in pages
    ]
