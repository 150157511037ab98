"""Where a list goes on, as an opaque text: base64url of the list's name and a place in it. Sans-I/O.

Whoever makes one up gets no more than he could have asked for: a place is only compared.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from gatepost_core.domain import BadValue

MOST: Final = 600
_DIGITS: Final = 19


def write(name: str, place: str) -> str:
    """Return the cursor of a list's place."""
    return base64.urlsafe_b64encode(f"{name}\n{place}".encode()).decode("ascii").rstrip("=")


def number(name: str, text: str) -> int | None:
    """Return the number that a cursor of this list has; None for ''. Raises BadValue."""
    place = read(name, text)
    if place and not (place.isascii() and place.isdecimal() and len(place) < _DIGITS):
        raise _fault()
    return int(place) if place else None


def read(name: str, text: str) -> str:
    """Return the place that a cursor of this list has; '' for ''. Raises BadValue for any other text."""
    if not text:
        return ""
    if len(text) > MOST or not text.isascii():
        raise _fault()
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise _fault() from error
    whose, _, place = decoded.partition("\n")
    if whose != name or not place or not place.isprintable():
        raise _fault()
    return place


def _fault() -> BadValue:
    return BadValue("after", "this is no cursor of this list; take it from 'next' or from the field Link")
