"""The cached reader: what AUTH, policy and the milter look credentials up in.

A look-up costs one ``PRAGMA data_version`` while nothing changed
(https://www.sqlite.org/pragma.html#pragma_data_version), and a change by any process
empties the cache before the next answer, so a revoked credential is refused at once. A
database file that was replaced (a restored backup) is opened anew. Every fault raises
StoreUnavailable and closes the connection; the next look-up tries again.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection

from gatepost_core.model import Credential, SenderDomain
from gatepost_core.store import credentials, domains
from gatepost_core.store.engine import FAULTS, database_file, faults, open_engine, unavailable

_ENTRIES = 20_000
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
        self._cache: OrderedDict[tuple[str, str], Any] = OrderedDict()
        self.loads = 0

    def credential(self, username: str) -> Credential | None:
        """Return the credential of that name as it is now. Raises StoreUnavailable."""
        return self._get("credential", username, credentials.find)

    def domain(self, name: str) -> SenderDomain | None:
        """Return the registered sender domain of that name, in A-labels. Raises StoreUnavailable."""
        return self._get("domain", name, domains.find)

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
        if self._connection is None or self._pragma is None:
            self._connection = self._engine.connect()
            driver = self._connection.connection.driver_connection
            assert driver is not None  # noqa: S101 - the connection was opened on the line before
            self._pragma = driver.execute
        version = self._pragma("PRAGMA data_version").fetchone()[0]
        seen = (status.st_dev, status.st_ino, version)
        if seen != self._seen:
            self._cache.clear()
            self._seen = seen
        return self._connection

    def _reset(self) -> None:
        self._cache.clear()
        self._seen = None
        self._pragma = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()
