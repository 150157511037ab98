"""One node's way into the journal: entries and how far they were taken, in one transaction.

An entry that is there already, after a restored database or a crash, changes nothing.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from gatepost_core.domain import ids
from gatepost_core.domain.errors import StoreUnavailable
from gatepost_core.domain.outcomes import Logged
from gatepost_core.spool import Batch
from gatepost_core.store.ingest import intake
from gatepost_core.store.ingest.hours import Hours, Keys
from gatepost_core.store.sqlite.driver import connect, faults, time_out, transaction
from gatepost_core.store.sqlite.locate import database_file, file_identity
from gatepost_core.store.sqlite.taking import Taken, Taking

# Positions of segments that are gone are kept longer than anybody keeps a backup of the spool.
_GONE: Final = timedelta(days=400)
# SQLite's own cache, in kibibytes: what of the indexes is written to again and again.
_CACHE: Final = 16_384


class Ingester:
    """For one thread at a time; connects when it is needed.

    ``node``: the node's name; ``clock``: seconds since 1970. All that it does raises StoreUnavailable;
    nothing is written then, and the database is opened anew the next time.
    """

    def __init__(
        self,
        url: str,
        node: str,
        *,
        synchronous: str = "full",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._url = url
        self._name = node
        self._synchronous = synchronous
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._node = 0
        self._hours = Hours(self._keys)

    def positions(self) -> dict[str, dict[bytes, int]]:
        """Return how far each segment is taken, by stream and the segment's id."""
        found: dict[str, dict[bytes, int]] = {}
        for stream, segment, offset in self._of_node("stream, segment, offset FROM positions"):
            found.setdefault(stream, {})[bytes.fromhex(segment)] = offset
        return found

    def finished(self) -> dict[str, set[bytes]]:
        """Return the segments that are taken to their ends and not gone yet, by stream."""
        found: dict[str, set[bytes]] = {}
        query = "stream, segment FROM positions"
        for stream, segment in self._of_node(query, " AND finished AND gone_at IS NULL"):
            found.setdefault(stream, set()).add(bytes.fromhex(segment))
        return found

    def logged(self) -> tuple[str, dict[str, str], float | None]:
        """Return how far the mail log was read, and what its reader remembers of each queue id.

        The third: when the oldest message was accepted, in seconds since 1970.
        """
        position = [text for (text,) in self._of_node("position FROM log_positions")]
        kept = dict(self._of_node("queue_id, state FROM log_queue"))
        with self._used() as connection:
            oldest = connection.execute("SELECT min(id) FROM messages").fetchone()[0]
        at = int.from_bytes(ids.to_bytes(oldest)[:6], "big") / 1000 if oldest else None
        return position[0] if position else "", kept, at

    def take(self, batches: Iterable[tuple[str, Batch]], logged: Logged | None = None) -> Taken:
        """Commit the entries of batches, each with its stream's name, and their positions.

        With them goes what the mail log told, and how far it was read.

        They were read from the positions of one file. Where another has taken its place meanwhile (a restored
        backup), its positions are others, and nothing is written.
        """
        found = intake.intake(batches)
        with faults(self._url):
            if self._file is not None and file_identity(self._url) != self._file:
                self.close()
                self._file = None
                raise StoreUnavailable(
                    f"{database_file(self._url)} was replaced: its positions are read anew"
                )
        with self._writing() as connection:
            return Taking(connection, self._node, self._hours, self._now).take(found, logged)

    def tell(self, told: Iterable[intake.Noted]) -> None:
        """Commit events that come from no spool. Those that are there already change nothing."""
        found = intake.Intake(events={one.id: one for one in told})
        with self._writing() as connection:
            Taking(connection, self._node, self._hours, self._now).take(found)

    def forget(self, stream: str, segments: Iterable[bytes]) -> None:
        """Note that segments are gone. Their positions stay for a year: a backup may have them still."""
        now = self._now
        with self._writing() as connection:
            gone = [(time_out(now), self._node, stream, segment.hex()) for segment in segments]
            connection.executemany(
                "UPDATE positions SET gone_at = ? WHERE node = ? AND stream = ? AND segment = ?", gone
            )
            connection.execute("DELETE FROM positions WHERE gone_at < ?", (time_out(now - _GONE),))

    def close(self) -> None:
        """Give the connection up, and what it had begun."""
        connection, self._connection = self._connection, None
        self._hours = Hours(self._keys)
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    @property
    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._used() as connection, transaction(connection):
            yield connection

    @contextmanager
    def _used(self) -> Iterator[sqlite3.Connection]:
        with faults(self._url):
            try:
                yield self._connected()
            except BaseException:
                self.close()
                raise

    def _connected(self) -> sqlite3.Connection:
        file = file_identity(self._url)
        if file != self._file:  # the connection may still hold the file that was replaced
            self.close()
            self._file = file
        if self._connection is None:
            self._connection = connect(self._url, synchronous=self._synchronous)
            self._connection.execute(f"PRAGMA cache_size = -{_CACHE}")
            with transaction(self._connection):
                self._connection.execute("INSERT OR IGNORE INTO nodes (name) VALUES (?)", (self._name,))
            rows = self._connection.execute("SELECT id FROM nodes WHERE name = ?", (self._name,))
            (self._node,) = rows.fetchone()
        return self._connection

    def _of_node(self, what: str, condition: str = "") -> list[Any]:
        with self._used() as connection:
            query = f"SELECT {what} WHERE node = ?{condition}"
            return connection.execute(query, (self._node,)).fetchall()

    def _keys(self, whose: Keys) -> list[str]:
        """Return the keys that are counted already. Called within ``take``, with its connection."""
        if self._connection is None:
            return []
        hour, credential_id, kind = whose
        query = (
            "SELECT DISTINCT key FROM rollups WHERE hour = ? AND node = ? AND credential_id = ? AND kind = ? "
            "AND key != ''"
        )
        rows = self._connection.execute(query, (hour, self._node, credential_id, kind))
        return [key for (key,) in rows]
