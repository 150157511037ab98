"""Reports to be forwarded, in SQLite, for the daemon: noted as they come, and what became of each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Final

from gatepost_core.domain.outcomes import ForwardState, Waiting
from gatepost_core.domain.spooled import Report
from gatepost_core.store.sqlite.driver import connect, faults, time_in, time_out, transaction
from gatepost_core.store.sqlite.locate import file_identity

# Of a message no more are forwarded than hosts may really send: of each recipient a delay and an end, and
# two beside. Whoever got the message knows its bounce address, and may write to it what he likes.
_NOTE: Final = (
    "INSERT OR IGNORE INTO forwards "
    "(id, node, message_id, account_id, address, file, kept_at, due_at, state) "
    "SELECT ?1, ?2, ?3, coalesce((SELECT account_id FROM messages WHERE id = ?3), 0), ?4, ?5, ?6, ?6, 'open' "
    "WHERE (SELECT count(*) FROM forwards WHERE message_id = ?3) < "
    "2 + 2 * (SELECT count(*) FROM recipients WHERE message_id = ?3)"
)
_DUE: Final = (
    "SELECT f.id, f.message_id, coalesce(m.account_id, 0), m.sender, f.address, f.file, "
    "f.kept_at, f.attempts FROM forwards AS f LEFT JOIN messages AS m ON m.id = f.message_id "
    "WHERE f.state = 'open' AND f.node = (SELECT id FROM nodes WHERE name = ?) "
    "AND f.due_at <= ? ORDER BY f.due_at LIMIT ?"
)
_SENT: Final = "SELECT count(*) FROM forwards WHERE account_id = ? AND state = 'sent' AND done_at > ?"
_SETTLED: Final = (
    "UPDATE forwards SET state = ?, note = ?, done_at = ?, account_id = ? WHERE id = ? AND state = 'open'"
)
_POSTPONED: Final = "UPDATE forwards SET note = ?, due_at = ?, attempts = attempts + 1 WHERE id = ?"
_ALL_POSTPONED: Final = (
    "UPDATE forwards SET note = ?1, due_at = ?2, account_id = ?3 WHERE state = 'open' AND due_at < ?2 AND "
    "(id = ?4 OR account_id = ?3 AND ?3 != 0)"
)
_FORGOTTEN: Final = (
    "DELETE FROM forwards WHERE id IN (SELECT id FROM forwards WHERE state != 'open' AND done_at < ? LIMIT ?)"
)
_FORGOTTEN_MOST: Final = 1_000
_NOTE_MOST: Final = 500


def note(connection: sqlite3.Connection, node: int, reports: Mapping[str, Report]) -> None:
    """Note reports of a node, by their ids, within a transaction. Raises the driver's errors."""
    connection.executemany(
        _NOTE,
        [(number, node, one.message, one.address, one.file, one.at) for number, one in reports.items()],
    )


class Forwarder:
    """A node's reports. For one thread; connects when needed, and anew to a journal in another's place."""

    def __init__(self, url: str, node: str) -> None:
        self._url = url
        self._node = node
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def due(self, now: datetime, most: int) -> Sequence[Waiting]:
        """Return the reports whose time has come, the longest due first."""
        with self._used() as connection:
            found = connection.execute(_DUE, (self._node, time_out(now), most)).fetchall()
        return [
            Waiting(number, message, account_id, sender, address, file, time_in(kept_at), attempts)
            for number, message, account_id, sender, address, file, kept_at, attempts in found
        ]

    def sent(self, account_id: int, since: datetime) -> int:
        """Return how many reports an account was sent since then."""
        with self._used() as connection:
            return int(connection.execute(_SENT, (account_id, time_out(since))).fetchone()[0])

    def settle(self, one: Waiting, state: ForwardState, note: str, now: datetime) -> None:
        """Note what became of a report."""
        values = (state.value, note[:_NOTE_MOST], time_out(now), one.account_id, one.id)
        with self._used() as connection, transaction(connection):
            connection.execute(_SETTLED, values)

    def postpone(self, one: Waiting, note: str, until: datetime) -> None:
        """Note why a report could not be sent yet, and when it is tried again."""
        with self._used() as connection, transaction(connection):
            connection.execute(_POSTPONED, (note[:_NOTE_MOST], time_out(until), one.id))

    def postpone_account(self, one: Waiting, note: str, until: datetime) -> None:
        """Have all reports of a report's account wait."""
        with self._used() as connection, transaction(connection):
            connection.execute(_ALL_POSTPONED, (note[:_NOTE_MOST], time_out(until), one.account_id, one.id))

    def forget(self, before: datetime) -> int:
        """Let go of what was settled before; return how many are gone, some at a time."""
        with self._used() as connection, transaction(connection):
            return connection.execute(_FORGOTTEN, (time_out(before), _FORGOTTEN_MOST)).rowcount

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
