"""Which HTML parts of a message are its text, and which are files that it carries.

RFC 2183 section 2.8: a disposition that is not known is an attachment. Programs also attach a page with
``inline`` and a file name beside the text; it is a file as well, and its bytes are its sender's. Also here:
the addresses by which HTML may name parts of its own message (Content-Location, RFC 2557 section 8.2). Never
raises.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

from gatepost_milter.features.urls import comparable
from gatepost_milter.mime import Part

_SHOWN = frozenset(("", "inline"))
_TEXTS = frozenset(("text/plain", "text/html"))
# The parts of the one stand for each other, those of the other belong to the first: none is beside a text.
_ALTERNATIVE, _RELATED = "multipart/alternative", "multipart/related"
# Joining addresses takes time by their length, for each part again.
_LOCATION_MOST = 1000


def files(root: Part) -> Iterator[tuple[Part, str]]:
    """Yield the HTML parts that are files, each with the reason in words."""
    yield from _files(root, beside=False)


def _files(part: Part, *, beside: bool) -> Iterator[tuple[Part, str]]:
    """``beside``: the message has a text before this part, and this is no other form of it."""
    if part.type == "text/html":
        if part.disposition not in _SHOWN:
            yield part, "is an attachment"
        elif beside and part.named:
            yield part, "is a file beside the text"
    beside = beside and part.type != _ALTERNATIVE
    for child in part.children:
        yield from _files(child, beside=beside)
        beside = beside or (part.type not in (_ALTERNATIVE, _RELATED) and _has_text(child))


def _has_text(part: Part) -> bool:
    return any(one.type in _TEXTS and one.disposition in _SHOWN and not one.named for one in part.walk())


def locations(root: Part) -> frozenset[str]:
    """Return the web addresses that name parts of the message, in the form of ``urls.comparable``."""
    return frozenset(_locations(root, ""))


def _locations(part: Part, base: str) -> Iterator[str]:
    if 0 < len(part.location) < _LOCATION_MOST:
        address = _joined(base, part.location)
        base = address or base
        parts = urlsplit(address) if address else None
        if parts is not None and parts.scheme.lower() in ("http", "https"):
            query = f"?{parts.query}" if parts.query else ""
            yield comparable(parts.scheme, parts.netloc, parts.path + query)
    for child in part.children:
        yield from _locations(child, base)


def _joined(base: str, address: str) -> str:
    try:
        return urljoin(base, address)
    except ValueError:  # what looks like an IPv6 address and is none
        return ""
