"""SQLite by its own driver, for what daemons do with each login and message.

SQLAlchemy costs a daemon 14 MB, and a look-up twenty times what SQLite itself takes; commands use it, the
hot path does not. A test holds both to the same rows. Faults raise StoreUnavailable, as engine.py's do.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from gatepost_core.domain.errors import StoreUnavailable
from gatepost_core.store.sqlite.locate import database_file

BUSY_SECONDS = 5
# What the driver, or the file system, raises when the database cannot be used.
FAULTS = (sqlite3.Error, OSError)
PRAGMAS = ("foreign_keys = ON", "journal_mode = WAL")


def connect(url: str, *, synchronous: str = "full", patience: float = BUSY_SECONDS) -> sqlite3.Connection:
    """Return a connection that any one thread at a time may use; transactions are begun by hand.

    ``patience``: seconds to wait for somebody else's lock.
    """
    connection = sqlite3.connect(
        database_file(url), timeout=patience, isolation_level=None, check_same_thread=False
    )
    try:
        for pragma in (f"synchronous = {synchronous.upper()}", *PRAGMAS):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what is written meanwhile, or nothing of it. Waits its turn at the begin (see engine.py)."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def faults(url: str) -> Iterator[None]:
    """Turn the driver's faults into StoreUnavailable, with the file and a hint in the text."""
    try:
        yield
    except FAULTS as error:
        raise unavailable(url, error) from error


def unavailable(url: str, error: BaseException) -> StoreUnavailable:
    """Return what to raise for one of FAULTS."""
    missing = isinstance(error, sqlite3.OperationalError) and "no such " in str(error)  # table or column
    hint = "; run 'gatepost store upgrade'" if missing else ""
    return StoreUnavailable(f"{database_file(url)}: {error}{hint}")


def time_out(value: datetime) -> str:
    """Return a time as schema.UtcDateTime keeps it here. Raises ValueError for one without a zone."""
    if value.tzinfo is None:
        raise ValueError(f"a time without a zone: {value}")
    text = (value if value.tzinfo is UTC else value.astimezone(UTC)).isoformat(" ", "microseconds")
    return text[:-6]  # without +00:00


def time_in(text: str) -> datetime:
    """Return a time that ``time_out`` or SQLAlchemy wrote."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# How a column's value is read, by what its name says of it; all others are as the driver gives them.
_READ: dict[str, Callable[[str], Any]] = dict.fromkeys(
    ("features", "rules", "options", "limits", "account_limits", "account_rules"), json.loads
)


def row_factory(cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> dict[str, Any]:
    """Make a row a mapping of columns to values of the types that the schema gives them."""
    row: dict[str, Any] = {}
    for (name, *_), value in zip(cursor.description, values, strict=True):
        if value is None:
            row[name] = None
        elif name.endswith("_at"):
            row[name] = time_in(value)
        else:
            read = _READ.get(name)
            row[name] = value if read is None else read(value)
    return row
