"""Last use of each credential: kept in memory and written in batches, at most a second late.

A login must not wait for the disk, and knowing the last one within a second is enough.
What cannot be written is kept and tried again; it never fails a login.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from gatepost_core.store.engine import faults, file_identity, open_engine
from gatepost_core.store.errors import StoreUnavailable
from gatepost_core.store.schema import credential_usage

_EVERY_SECONDS = 1.0
_KEPT = 100_000
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Usage:
    """When a credential was last used, and from which address."""

    at: datetime
    ip: str


class LastUsed:
    """Collects logins and writes them in the background. Opened after fork; ``close`` writes the rest."""

    def __init__(self, url: str) -> None:
        self._url = url
        # 'normal' is enough here: a power cut may cost the last second's times, nothing else.
        self._engine = open_engine(url, synchronous="normal")
        self._file: tuple[int, int] | None = None
        self._lock = threading.Lock()
        self._waiting: dict[int, Usage] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="last-used", daemon=True)
        self._thread.start()

    def record(self, credential_id: int, ip: str, now: datetime) -> None:
        """Note a login. Never blocks on the disk, never raises."""
        with self._lock:
            if len(self._waiting) < _KEPT or credential_id in self._waiting:
                self._waiting[credential_id] = Usage(now, ip)

    def close(self) -> None:
        """Write what waits, then stop."""
        self._stop.set()
        self._thread.join()
        self._engine.dispose()

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_SECONDS):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting, {}
        if not batch:
            return
        try:
            with faults(self._url):
                file = file_identity(self._url)
                if file != self._file:  # the connection may still hold the file that was replaced
                    self._engine.dispose()
                    self._file = file
                for ids in batched(batch):
                    with self._engine.begin() as connection:
                        write(connection, {key: batch[key] for key in ids})
        except StoreUnavailable:
            with self._lock:
                self._waiting = batch | self._waiting


def batched(batch: Iterable[int]) -> Iterator[list[int]]:
    """Yield the ids in lists of a size that every database takes as parameters of one statement."""
    ids = iter(batch)
    while chunk := list(itertools.islice(ids, _CHUNK)):
        yield chunk


def write(connection: Connection, batch: dict[int, Usage]) -> None:
    """Replace the rows of these credentials, in SQL that every database knows."""
    connection.execute(delete(credential_usage).where(credential_usage.c.credential_id.in_(batch)))
    rows = [
        {"credential_id": key, "last_used_at": usage.at, "last_used_ip": usage.ip}
        for key, usage in batch.items()
    ]
    connection.execute(insert(credential_usage), rows)


def read(connection: Connection) -> dict[int, Usage]:
    """Return the last use of every credential that was ever used, by credential id."""
    rows = connection.execute(select(credential_usage))
    return {row.credential_id: Usage(row.last_used_at, row.last_used_ip) for row in rows}


def of(connection: Connection, credential_id: int) -> Usage | None:
    """Return the last use of one credential, None when it never was."""
    query = select(credential_usage).where(credential_usage.c.credential_id == credential_id)
    row = connection.execute(query).first()
    return None if row is None else Usage(row.last_used_at, row.last_used_ip)
