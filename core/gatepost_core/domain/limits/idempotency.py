"""The key by which a message's sender knows it, so that it is queued once: what may stand there. Pure."""

from __future__ import annotations

from typing import Final

KEY_MOST: Final = 255
KEY_EXPECTED: Final = f"1 to {KEY_MOST} characters of printable ASCII, without spaces"


def read_key(text: str) -> str:
    """Return a key that may stand in a header field. Raises ValueError, whose text follows the key."""
    if not text:
        raise ValueError("is empty")
    if len(text) > KEY_MOST:
        raise ValueError(f"has {len(text):,} characters")
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("holds a character that is none of those")
    return text
