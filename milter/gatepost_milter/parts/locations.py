"""The addresses by which HTML may name parts of its own message (Content-Location, RFC 2557 section 8.2)."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

from gatepost_milter.parts.mime import Part

# Joining addresses takes time by their length, for each part again.
_LOCATION_MOST = 1000


def comparable(scheme: str, authority: str, path_and_query: str) -> str:
    """Return an address in the form in which two of them are compared."""
    return f"{scheme.lower()}://{authority.lower()}{path_and_query or '/'}"


def locations(root: Part) -> frozenset[str]:
    """Return the web addresses that name parts of the message, in the form of ``comparable``."""
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
