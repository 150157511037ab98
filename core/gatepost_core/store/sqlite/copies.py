"""Copies of a database for a backup: made while others write, held sound, and looked into without a store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from gatepost_core.domain.errors import StoreUnavailable
from gatepost_core.store.sqlite.driver import unavailable
from gatepost_core.store.sqlite.locate import database_file


def make(url: str, target: Path) -> None:
    """Copy a database as it is at this moment, by SQLite's own means. Raises StoreUnavailable."""
    try:
        with (
            closing(sqlite3.connect(f"file:{database_file(url)}?mode=rw", uri=True)) as source,
            closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            _check(copy)
    except (sqlite3.Error, OSError) as error:
        raise unavailable(url, error) from error


def schema(copy: Path) -> str:
    """Return the schema of a copy. Raises StoreUnavailable for one that is damaged, or has none."""
    with _opened(copy) as connection:
        _check(connection)
        schemas = [name for (name,) in connection.execute("SELECT version_num FROM alembic_version")]
    if len(schemas) != 1:
        raise StoreUnavailable(f"has {len(schemas)} schemas, not one")
    return str(schemas[0])


def finished(journal: Path) -> set[bytes]:
    """Return the segments of the spool that a copied journal has all of; none of a release without a spool.

    Raises StoreUnavailable.
    """
    with _opened(journal) as connection:
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE name = 'positions'")
        if tables.fetchone() is None:
            return set()
        rows = connection.execute("SELECT segment FROM positions WHERE finished")
        return {bytes.fromhex(segment) for (segment,) in rows}


@contextmanager
def _opened(copy: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(f"file:{copy}?mode=ro&immutable=1", uri=True)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise StoreUnavailable(str(error)) from error


def _check(connection: sqlite3.Connection) -> None:
    (said,) = connection.execute("PRAGMA integrity_check").fetchone()
    if said != "ok":
        raise sqlite3.DatabaseError(f"damaged: {said}")
