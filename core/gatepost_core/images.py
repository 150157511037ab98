"""Hosted images: kept under a name made from their content, so that the same image is kept once.

``ImageStore`` is what the milter needs; ``FileImageStore`` keeps files, an object store may do the same
later. What ``put`` has returned is on disk: a message that refers to it may be accepted. A store
that cannot be written raises OSError.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
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
_REMEMBERED = 10_000


def type_of(data: bytes) -> str | None:
    """Return the content type that an image's first bytes tell, None for what is not hosted."""
    return next((kind for kind, magic, _ in _KINDS if magic.match(data)), None)


def is_name(text: str) -> bool:
    """Say whether ``put`` could have returned this name."""
    return _NAME.fullmatch(text) is not None


class ImageStore(Protocol):
    """Keeps images for good."""

    def put(self, data: bytes, content_type: str) -> str:
        """Return the image's public name, once it is kept. Raises OSError, ValueError for its type."""
        ...


def image_name(data: bytes, content_type: str) -> str:
    """Return the public name of an image, made of its content. Raises ValueError for its type."""
    if content_type not in _ENDINGS:
        raise ValueError(f"{content_type} is no image that is hosted")
    return f"{hashlib.sha256(data).hexdigest()}.{_ENDINGS[content_type]}"


class FileImageStore:
    """Images as files ``<directory>/ab/abcd….png``. For many threads and processes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._kept: OrderedDict[str, None] = OrderedDict()

    def put(self, data: bytes, content_type: str) -> str:
        """Return the image's name once file and directory entry are on disk. Raises OSError, ValueError."""
        name = image_name(data, content_type)
        path = self.path(name)
        if name not in self._kept or not path.exists():
            self._write(path, data)
            self._kept[name] = None
            while len(self._kept) > _REMEMBERED:
                with suppress(KeyError):  # another thread was first
                    self._kept.popitem(last=False)
        return name

    def path(self, name: str) -> Path:
        """Return the file of a name. Raises ValueError for what is none."""
        if not is_name(name):
            raise ValueError(f"{name[:80]!r} is no image's name")
        return self._directory / name[:2] / name

    def _write(self, path: Path, data: bytes) -> None:
        """Write a file under its name all at once, unless it is there; either way it is on disk then."""
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        if not path.exists() or path.stat().st_size != len(data):
            descriptor, temporary = tempfile.mkstemp(prefix=".new-", dir=path.parent)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fchmod(descriptor, 0o640)
                    os.fsync(descriptor)
                Path(temporary).rename(path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        # Also when another process made the file: its entry may not be on disk yet.
        for directory in (path.parent, self._directory):
            _sync(directory)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
