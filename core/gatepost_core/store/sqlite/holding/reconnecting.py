"""A connection to the journal, made when it is needed, and anew where another file took its place."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from gatepost_core.store.sqlite.driver import connect, faults
from gatepost_core.store.sqlite.locate import file_identity


class Reconnecting:
    """For one thread. Whatever goes wrong ends the connection; the next use makes another."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    @contextmanager
    def _used(self) -> Iterator[sqlite3.Connection]:
        with faults(self._url):
            try:
                file = file_identity(self._url)
                if file != self._file:
                    self.close()
                    self._file = file
                if self._connection is None:
                    self._connection = connect(self._url)
                yield self._connection
            except BaseException:
                self.close()
                raise
