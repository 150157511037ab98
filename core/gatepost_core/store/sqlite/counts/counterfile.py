"""A file of counters itself: how it is made, opened, told from another, and looked at for damage.

``form``, everywhere: the number of what its tables are like.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

MODE: Final = 0o664
FORMAT: Final = 3
DAMAGE: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
# SQLite's own waiting looks ten times a second in the end, and may find the file taken each time for as long
# as others stand in line: after so many seconds it is begun anew.
_WAITS: Final = 0.01


def connect(file: Path, mode: str) -> sqlite3.Connection:
    """Return a connection; ``mode`` is ``ro`` or ``rw``, and makes no file. See ``busy``."""
    return sqlite3.connect(
        f"file:{quote(str(file))}?mode={mode}",
        uri=True,
        timeout=_WAITS,
        isolation_level=None,
        check_same_thread=False,
    )


def identity(name: str) -> tuple[int, int]:
    """Return what changes when a file is replaced. Raises OSError."""
    status = os.stat(name)  # noqa: PTH116 - a path's own way takes three times as long, with each message
    return status.st_dev, status.st_ino


def busy(error: BaseException) -> bool:
    """Say whether somebody else had the file, so that it is to be tried again."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def check_format(version: int, form: int) -> None:
    """Raise what a damaged file raises for one that another release made."""
    if version != form:
        error = sqlite3.DatabaseError(f"format {version}, expected {form}")
        error.sqlite_errorcode = sqlite3.SQLITE_NOTADB
        raise error


def create(file: Path) -> None:
    """Make an empty file that the folder's group may write and everybody who gets there may read."""
    file.parent.mkdir(mode=0o2775, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, MODE)
        try:
            os.fchmod(descriptor, MODE)  # whatever the umask: SQLite gives log and index the same mode
        finally:
            os.close(descriptor)


def set_aside(file: Path, seconds: int, form: int) -> Path | None:
    """Give a damaged file another name, once, whoever else finds it damaged at the same time.

    Returns that name, None where the file is sound by now.
    """
    with _alone(file.parent):
        if _sound(file, form):
            return None
        aside = file.with_name(f"{file.name}.damaged-{seconds}")
        with suppress(FileNotFoundError):
            file.rename(aside)
        for end in ("-wal", "-shm"):
            file.with_name(file.name + end).unlink(missing_ok=True)
        return aside


def _sound(file: Path, form: int) -> bool:
    """Say whether a file is one of ours without damage, or there is none: another has set it aside."""
    if not file.exists():
        return True
    with suppress(OSError, sqlite3.Error), closing(connect(file, "rw")) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        return said == "ok" and version in (0, form - 1, form)
    return False


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Have nobody else set a file of the folder aside; a lock ends with its process (flock(2))."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
