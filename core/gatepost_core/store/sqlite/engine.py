"""Opening a database: SQLite's pragmas, transactions that mean it, and faults told apart.

pysqlite begins a transaction only at the first write, and then as a reader that must be
promoted, which fails at once when another process writes; so each transaction begins with
BEGIN IMMEDIATE and waits its turn (https://www.sqlite.org/lang_transaction.html).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import QueuePool

from gatepost_core.domain.errors import StoreUnavailable
from gatepost_core.store.sqlite.driver import BUSY_SECONDS, PRAGMAS
from gatepost_core.store.sqlite.locate import database_file, file_identity

__all__ = ["FAULTS", "database_file", "faults", "file_identity", "open_engine", "unavailable"]

# What a driver, or the file system, raises when the database cannot be used.
FAULTS = (DBAPIError, OSError, sqlite3.Error)


def open_engine(url: str, *, synchronous: str = "full", reading: bool = False) -> Engine:
    """Return an engine; nothing is opened before the first use.

    ``reading`` leaves transactions out: each statement sees what is committed at that moment.
    """
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=2,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )
    pragmas = (f"synchronous = {synchronous.upper()}", *PRAGMAS)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    if not reading:

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


@contextmanager
def faults(url: str) -> Iterator[None]:
    """Turn the driver's faults into StoreUnavailable, with the file and a hint in the text."""
    try:
        yield
    except FAULTS as error:
        raise unavailable(url, error) from error


def unavailable(url: str, error: BaseException) -> StoreUnavailable:
    """Return what to raise for one of FAULTS."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    hint = ""
    if isinstance(error, OperationalError) and "no such " in str(cause):  # table or column
        hint = "; run 'gatepost store upgrade'"
    return StoreUnavailable(f"{database_file(url)}: {cause}{hint}")
