"""Which file a database URL means, told without SQLAlchemy, which most daemons never load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from gatepost_core.settings import StoreSettings

_SCHEME = "sqlite:///"


def database_file(url: str) -> Path:
    """Return the file of an SQLite URL. Raises ValueError for one without."""
    file = url.removeprefix(_SCHEME).partition("?")[0]
    if not url.startswith(_SCHEME) or not file:
        raise ValueError(f"no file in the database URL {url}")
    return Path(unquote(file))


def url_of(settings: StoreSettings, database: str) -> str:
    """Return the URL of one of the two databases: directory or journal."""
    return settings.url if database == "directory" else settings.journal


def home(settings: StoreSettings) -> Path:
    """Return the folder of this host whose owner the daemons run as, and works with the store."""
    return database_file(settings.url).parent


def file_identity(url: str) -> tuple[int, int]:
    """Return what changes when the file is replaced (a restored backup): device and inode.

    Raises OSError, so that SQLite is not left to make an empty file in place of one that is gone.
    """
    status = database_file(url).stat()
    return status.st_dev, status.st_ino
