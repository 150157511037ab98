"""Inserting rows with little overhead: SQLAlchemy compiles the statement once, the driver runs it.

For what is written with every message: a transaction of SQLAlchemy's costs as much again as the
INSERT itself. Values are converted by the column types' own bind processors, so rows are
the same as those that SQLAlchemy would write.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine, Table, insert


class BulkInsert:
    """``INSERT INTO table``, prepared. For one thread; opens its connection when it is needed."""

    def __init__(self, engine: Engine, table: Table) -> None:
        self._engine = engine
        compiled = insert(table).compile(
            dialect=engine.dialect, column_keys=[column.name for column in table.c]
        )
        self._sql = compiled.string
        self._columns = [
            (name, table.c[name].type.dialect_impl(engine.dialect).bind_processor(engine.dialect))
            for name in compiled.positiontup or ()
        ]
        self._connection: Any = None

    def run(self, records: Iterable[object]) -> None:
        """Insert a row for each record (column values are its attributes), all in one transaction.

        Raises the driver's errors; nothing is written then, and the connection is opened anew next time.
        """
        rows = [self._row(record) for record in records]
        if self._connection is None:
            self._connection = self._engine.raw_connection()
        cursor = self._connection.cursor()
        try:
            cursor.execute("BEGIN IMMEDIATE")
            cursor.executemany(self._sql, rows)
            cursor.execute("COMMIT")
        except BaseException:
            self.close()
            raise
        cursor.close()

    def close(self) -> None:
        """Give the connection up, and what it had begun."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.invalidate()

    def _row(self, record: object) -> Sequence[Any]:
        return [
            getattr(record, name) if convert is None else convert(getattr(record, name))
            for name, convert in self._columns
        ]
