"""Images that are hosted: which kinds, under which names, and what keeps them.

A name is made from the image and a secret of the account's, so that the same image of an account has one
name, and nobody learns by asking for a name whether another account hosts an image that he has.
"""

from __future__ import annotations

import hashlib
import re
from typing import Protocol

# Content type, first bytes, name's ending. No SVG: it can hold scripts. What the bytes say counts.
_KINDS = (
    ("image/png", re.compile(rb"\x89PNG\r\n\x1a\n"), "png"),
    ("image/jpeg", re.compile(rb"\xff\xd8\xff"), "jpg"),
    ("image/gif", re.compile(rb"GIF8[79]a"), "gif"),
    ("image/webp", re.compile(rb"RIFF....WEBP", re.DOTALL), "webp"),
    ("image/bmp", re.compile(rb"BM....\x00\x00\x00\x00", re.DOTALL), "bmp"),
)
_ENDINGS = {kind: ending for kind, _, ending in _KINDS}
TYPES = {ending: kind for kind, _, ending in _KINDS}
_NAME = re.compile(rf"[0-9a-f]{{64}}\.(?:{'|'.join(TYPES)})")


def type_of(data: bytes) -> str | None:
    """Return the content type that an image's first bytes tell, None for what is not hosted."""
    return next((kind for kind, magic, _ in _KINDS if magic.match(data)), None)


def is_name(text: str) -> bool:
    """Say whether ``put`` could have returned this name."""
    return _NAME.fullmatch(text) is not None


class QuotaError(Exception):
    """There is no room for an image; the text says why, for the record of the message."""

    def __init__(self, quota: int) -> None:
        super().__init__(
            f"would take the account's hosted images over its {quota} bytes" if quota else "may not be hosted"
        )


class ImageStore(Protocol):
    """Keeps images."""

    def put(self, account: int, data: bytes, content_type: str, quota: int) -> str:
        """Return the image's public name, once it is kept.

        ``quota``: bytes that the account's images may have. Raises QuotaError, OSError, and ValueError for
        the type.
        """
        ...

    def trial(self) -> ImageStore:
        """Return one that answers as this one would, and keeps nothing."""
        ...


def image_name(salt: bytes, data: bytes, content_type: str) -> str:
    """Return the public name of an image. Raises ValueError for its type."""
    if content_type not in _ENDINGS:
        raise ValueError(f"{content_type} is no image that is hosted")
    digest = hashlib.blake2b(data, key=salt, digest_size=32).hexdigest()
    return f"{digest}.{_ENDINGS[content_type]}"
