"""The cached reader: what AUTH, policy and the milter look credentials up in.

A change by any process empties the cache before the next answer, so a revoked credential is refused
at once. ``PRAGMA data_version`` tells of one (https://www.sqlite.org/pragma.html#pragma_data_version);
it is asked only when the write-ahead log's file has changed since, or so lately that its time stamp
could not tell (git's "racy" rule), because asking takes ten times as long as looking at the file. A
database file that was replaced (a restored backup) is opened anew. Every fault raises
StoreUnavailable and closes the connection; the next look-up tries again.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection

from gatepost_core.model import Credential, SenderDomain
from gatepost_core.store import credentials, domains
from gatepost_core.store.engine import FAULTS, database_file, faults, open_engine, unavailable

_ENTRIES = 20_000
# Ten times the kernel's clock tick, by which files are stamped.
_RACY_NANOSECONDS = 100_000_000
_T = TypeVar("_T")


class Reader:
    """Reads the directory through a cache. For many threads of one process; opened after fork.

    ``loads`` counts the look-ups that went to the database.
    """

    def __init__(self, url: str, *, entries: int = _ENTRIES) -> None:
        self._url = url
        self._file = str(database_file(url))
        self._engine = open_engine(url, reading=True)
        self._entries = entries
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._pragma: Callable[[str], Any] | None = None
        self._seen: tuple[int, int, int] | None = None
        self._log = f"{self._file}-wal"
        self._settled: tuple[int, int, int] | None = None
        self._cache: OrderedDict[tuple[str, str], Any] = OrderedDict()
        self.loads = 0

    def credential(self, username: str) -> Credential | None:
        """Return the credential of that name as it is now. Raises StoreUnavailable."""
        return self._get("credential", username, credentials.find)

    def domain(self, name: str) -> SenderDomain | None:
        """Return the registered sender domain of that name, in A-labels. Raises StoreUnavailable.

        One that is cached is as it was at the last look-up of a credential: a message asks for its
        credential first, so nothing is gained by asking SQLite again within the same message.
        """
        cached: SenderDomain | None = self._cache.get(("domain", name))
        return cached or self._get("domain", name, domains.find)

    def bounce_domain(self, name: str) -> bool:
        """Say whether bounces of a sender domain arrive at that name. Raises StoreUnavailable."""
        return self._get("bounce", name, domains.is_bounce_domain)

    def close(self) -> None:
        """Close the connection; a later look-up opens it again."""
        with self._lock:
            self._reset()

    def _get(self, kind: str, name: str, load: Callable[[Connection, str], _T]) -> _T:
        key = (kind, name)
        with self._lock:
            try:
                connection = self._current()
                if key in self._cache:
                    self._cache.move_to_end(key)
                    cached: _T = self._cache[key]
                    return cached
                with faults(self._url):
                    value = load(connection, name)
            except FAULTS as error:
                self._reset()
                raise unavailable(self._url, error) from error
            except BaseException:
                self._reset()
                raise
            self.loads += 1
            self._cache[key] = value
            if len(self._cache) > self._entries:
                self._cache.popitem(last=False)
            return value

    def _current(self) -> Connection:
        """Return the open connection, after the cache was emptied if anything changed since."""
        status = os.stat(self._file)  # noqa: PTH116 - half the cost of Path.stat, at every look-up
        if self._seen is not None and self._seen[:2] != (status.st_dev, status.st_ino):
            self._reset()
        log = self._log_stamp()
        if self._connection is not None and log is not None and log == self._settled:
            return self._connection
        if self._connection is None or self._pragma is None:
            self._connection = self._engine.connect()
            driver = self._connection.connection.driver_connection
            assert driver is not None  # noqa: S101 - the connection was opened on the line before
            execute: Callable[[str], Any] = driver.execute
            self._pragma = execute
        version = self._pragma("PRAGMA data_version").fetchone()[0]
        seen = (status.st_dev, status.st_ino, version)
        if seen != self._seen:
            self._cache.clear()
            self._seen = seen
        # The log as it was before the question: what changed during it is asked about next time.
        settled = log is not None and time.time_ns() - log[2] > _RACY_NANOSECONDS
        self._settled = log if settled else None
        return self._connection

    def _log_stamp(self) -> tuple[int, int, int] | None:
        """Return what changes with each commit: the log's inode, size and time; None without a log."""
        try:
            status = os.stat(self._log)  # noqa: PTH116 - half the cost of Path.stat, at each look-up
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns

    def _reset(self) -> None:
        self._cache.clear()
        self._seen = None
        self._settled = None
        self._pragma = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()
