"""Whether a change comes from our own pages, and how the cookie of a session is called. Pure.

A browser says from which site a request comes (Fetch, sections 3.1 and Sec-Fetch-Site of Fetch Metadata). A
change of which that is not known is refused: no page of somebody else's can have one made in a user's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

COOKIE: Final = "gatepost"
# A browser takes a cookie of this name only by https, for this host alone and all of it (RFC 6265bis).
SECURE_COOKIE: Final = "__Host-gatepost"


def cookie_name(*, secure: bool) -> str:
    """Return the name of the session's cookie."""
    return SECURE_COOKIE if secure else COOKIE


def foreign(headers: Mapping[str, str], public_url: str) -> str:
    """Say why a change does not come from our own pages; '' if it does. ``public_url``: ours, or ''."""
    site, origin = headers.get("sec-fetch-site", ""), headers.get("origin", "")
    if site and site != "same-origin":
        return f"the browser says that it comes from elsewhere ({site[:20]})"
    if origin in ("", "null"):
        return "" if site else "nothing says that it comes from this dashboard's own pages"
    own = public_url.rstrip("/").lower()
    if origin.lower() == own or _host(origin) == headers.get("host", "").lower() != "":
        return ""
    return f"it comes from {origin[:80]}"


def local_path(text: str) -> str:
    """Return a path of ours to go to after the sign-in; '/' for anything else."""
    ours = text.startswith("/") and not text.startswith(("//", "/\\"))
    fine = ours and text.isascii() and text.isprintable() and " " not in text
    return text if fine and len(text) <= 500 else "/"


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
