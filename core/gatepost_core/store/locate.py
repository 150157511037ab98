"""Which file a database URL means, told without SQLAlchemy, which most daemons never load."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

_SCHEME = "sqlite:///"


def database_file(url: str) -> Path:
    """Return the file of an SQLite URL. Raises ValueError for one without."""
    file = url.removeprefix(_SCHEME).partition("?")[0]
    if not url.startswith(_SCHEME) or not file:
        raise ValueError(f"no file in the database URL {url}")
    return Path(unquote(file))


def file_identity(url: str) -> tuple[int, int]:
    """Return what changes when the file is replaced (a restored backup): device and inode.

    Raises OSError, so that SQLite is not left to make an empty file in place of one that is gone.
    """
    status = database_file(url).stat()
    return status.st_dev, status.st_ino
