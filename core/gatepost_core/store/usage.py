"""Last use of each credential: kept in memory and written in batches, at most a second late.

A login must not wait for the disk, and knowing the last one within a second is enough.
What cannot be written is kept and tried again; it never fails a login.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from gatepost_core.domain.errors import StoreUnavailable
from gatepost_core.store.locate import file_identity
from gatepost_core.store.sqlite import connect, faults, time_out, transaction

if TYPE_CHECKING:
    import sqlite3

    from sqlalchemy import Connection

_EVERY_SECONDS = 1.0
_KEPT = 100_000
_CHUNK = 500
_WRITE = (
    "INSERT OR REPLACE INTO credential_usage (credential_id, last_used_at, last_used_ip) VALUES (?, ?, ?)"
)


class Usage(NamedTuple):
    """When a credential was last used, and from which address."""

    at: datetime
    ip: str


class LastUsed:
    """Collects logins and writes them in the background. Opened after fork; ``close`` writes the rest."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._noted: deque[tuple[int, datetime, str]] = deque(maxlen=_KEPT)
        self._waiting: dict[int, Usage] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="last-used", daemon=True)
        self._thread.start()

    def record(self, credential_id: int, ip: str, now: datetime) -> None:
        """Note a login. Never blocks on the disk, never raises; of too many the oldest are let go."""
        self._noted.append((credential_id, now, ip))

    def close(self) -> None:
        """Write what waits, then stop."""
        self._stop.set()
        self._thread.join()
        self._disconnect()

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_SECONDS):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        batch, self._waiting = self._waiting, {}
        for _ in range(len(self._noted)):
            credential_id, now, ip = self._noted.popleft()
            if len(batch) < _KEPT or credential_id in batch:
                batch[credential_id] = Usage(now, ip)
        if not batch:
            return
        try:
            with faults(self._url):
                self._write(batch)
        except StoreUnavailable:
            self._disconnect()
            self._waiting = batch

    def _write(self, batch: dict[int, Usage]) -> None:
        file = file_identity(self._url)
        if file != self._file:  # the connection may still hold the file that was replaced
            self._disconnect()
            self._file = file
        if self._connection is None:
            # 'normal' is enough here: a power cut may cost the last second's times, nothing else.
            self._connection = connect(self._url, synchronous="normal")
        for ids in batched(batch):
            rows = [(key, time_out(batch[key].at), batch[key].ip) for key in ids]
            with transaction(self._connection):
                self._connection.executemany(_WRITE, rows)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def batched(batch: Iterable[int]) -> Iterator[list[int]]:
    """Yield the ids in lists so short that no transaction holds up the messages' for long."""
    ids = iter(batch)
    while chunk := list(itertools.islice(ids, _CHUNK)):
        yield chunk


def read(connection: Connection) -> dict[int, Usage]:
    """Return the last use of every credential that was ever used, by credential id."""
    from sqlalchemy import select  # noqa: PLC0415 - for commands; LastUsed does without

    from gatepost_core.store.schema import credential_usage  # noqa: PLC0415

    rows = connection.execute(select(credential_usage))
    return {row.credential_id: Usage(row.last_used_at, row.last_used_ip) for row in rows}


def of(connection: Connection, credential_id: int) -> Usage | None:
    """Return the last use of one credential, None when it never was."""
    from sqlalchemy import select  # noqa: PLC0415 - for commands; LastUsed does without

    from gatepost_core.store.schema import credential_usage  # noqa: PLC0415

    query = select(credential_usage).where(credential_usage.c.credential_id == credential_id)
    row = connection.execute(query).first()
    return None if row is None else Usage(row.last_used_at, row.last_used_ip)
