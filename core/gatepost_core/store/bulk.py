"""Inserting rows with little overhead, for what is written with every message.

The driver runs one prepared statement; SQLAlchemy's transaction alone would cost as much again as the INSERT,
and its modules 14 MB. Rows are the same as those that SQLAlchemy would write: a test reads them by it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from datetime import datetime
from operator import attrgetter
from typing import Any

from gatepost_core.store.sqlite import connect, time_out

_AS_IT_IS = frozenset((str, int))
_EMPTY: dict[type, str] = {tuple: "[]", dict: "{}"}


class BulkInsert:
    """``INSERT INTO table`` of a dataclass' values. For one thread at a time; connects when it is needed."""

    def __init__(self, url: str, table: str, kind: type, *, synchronous: str) -> None:
        self._url = url
        self._synchronous = synchronous
        names = [field.name for field in fields(kind)]
        self._values = attrgetter(*names)
        places = ", ".join("?" * len(names))
        self._insert = f"INSERT INTO {table} ({', '.join(names)}) VALUES "  # noqa: S608
        self._place = f"({places})"
        self._connection: sqlite3.Connection | None = None

    def run(self, records: Iterable[object]) -> None:
        """Insert a row for each record, all in one statement, which is a transaction: a few hundred at most.

        Raises the driver's errors; nothing is written then, and the connection is opened anew next time.
        """
        rows = [self._row(record) for record in records]
        if self._connection is None:
            self._connection = connect(self._url, synchronous=self._synchronous)
        try:
            self._connection.execute(
                self._insert + ", ".join([self._place] * len(rows)), [value for row in rows for value in row]
            )
        except BaseException:
            self.close()  # which takes back what was begun
            raise

    def close(self) -> None:
        """Give the connection up, and what it had begun."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _row(self, record: object) -> Sequence[Any]:
        return [value if value.__class__ in _AS_IT_IS else _out(value) for value in self._values(record)]


def _out(value: Any) -> Any:
    """Return a value as the schema's column types keep it."""
    if not value and value.__class__ in _EMPTY:  # most of a message's lists, and as many calls of the encoder
        return _EMPTY[value.__class__]
    if isinstance(value, datetime):
        return time_out(value)
    if isinstance(value, list | tuple | Mapping):
        return json.dumps(value)
    return value
