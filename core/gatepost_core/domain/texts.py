"""Texts that are kept and shown again and again: which characters have no place in them.

A control character moves a terminal's cursor, a bidirectional override makes a text read as another one,
what is invisible makes two texts look alike, and half of a surrogate pair (what is left of bytes that are no
UTF-8) can be written in no encoding. Nothing here fails.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

# Unicode's general categories (UAX 44, table 12): controls, formats, surrogates, line and paragraph ends.
_UNFIT = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
# Formats that writing needs: Persian and Indic words, and what emoji are joined with.
_JOINERS = "\u200c\u200d"
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
SCALES: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SIZE = re.compile(r"([0-9]{1,15}) ?([KMGT]?)B?")
_SIZE_MOST: Final = 40
# The time, in UTC; without a Python function, as it is asked for at each request.
utc_now: Callable[[], datetime] = functools.partial(datetime.now, UTC)


def stamp(time: datetime) -> str:
    """Return an aware time in UTC, to the second (RFC 3339): ``2027-01-31T18:00:00Z``."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> str:
    """Return a time of RFC 3339 (section 5.6) in UTC, as ``stamp`` has it. Raises ValueError.

    A part of a second is left out.
    """
    if not _RFC3339.fullmatch(text):
        raise ValueError("is no time with date and zone")
    upper = text.upper()
    whole = upper[:19].replace(" ", "T")
    zone = "+00:00" if upper.endswith("Z") else upper[-6:]
    try:
        return stamp(datetime.fromisoformat(whole + zone))
    except (ValueError, OverflowError):
        raise ValueError("is no time that there is") from None


def size(text: str) -> int | None:
    """Return the bytes that ``500K``, ``2 GB`` or ``1000000`` spells, None for another text."""
    match = _SIZE.fullmatch(text.strip().upper()) if len(text) < _SIZE_MOST else None
    return int(match[1]) * SCALES[match[2]] if match else None


def unfit(text: str) -> str:
    """Return in words the first character that a text of one line cannot have; empty when there is none."""
    if text.isascii() and text.isprintable():
        return ""
    for char in text:
        if unicodedata.category(char) in _UNFIT and char not in _JOINERS:
            return f"U+{ord(char):04X} ({_named(char)})"
    return ""


def bounded(text: str, most: int) -> str:
    """Return a text of at most ``most`` characters; one that was longer ends in an ellipsis."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def quoted(text: str, most: int = 60) -> str:
    """Return a text in quotes, with escapes, as errors show it; one that is long is cut."""
    return repr(text if len(text) <= most else text[:most] + "...")


def _named(char: str) -> str:
    if unicodedata.category(char) == "Cs":
        return "half of a surrogate pair: the bytes are no UTF-8"
    return unicodedata.name(char, "a control character").lower()
