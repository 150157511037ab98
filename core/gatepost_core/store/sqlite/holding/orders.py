"""A node's orders about held messages, without SQLAlchemy."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Final

from gatepost_core.domain.outcomes import HoldOrder, HoldState
from gatepost_core.store.sqlite.driver import connect, faults, time_out, transaction
from gatepost_core.store.sqlite.locate import file_identity

_DUE: Final = (
    "SELECT o.message_id, o.verb, m.queue_id, m.account_id, m.credential_id, m.username, m.tags, m.size, "
    "o.note, o.asked_by = 'schedule' FROM hold_orders AS o JOIN messages AS m ON m.id = o.message_id "
    "WHERE o.state = 'open' AND o.node = (SELECT id FROM nodes WHERE name = ?) AND o.due_at <= ? "
    "ORDER BY o.due_at LIMIT ?"
)
_AT_ONCE: Final = 200
_RECIPIENTS: Final = "SELECT address FROM recipients WHERE message_id = ? AND state = 'held'"
# Asked for anew meanwhile, it is another order.
_THIS: Final = "WHERE message_id = ? AND verb = ? AND state = 'open'"
_SETTLED: Final = f"UPDATE hold_orders SET state = ?, note = ?, done_at = ? {_THIS}"  # noqa: S608 - our own words
_POSTPONED: Final = f"UPDATE hold_orders SET note = ?, due_at = ? {_THIS}"  # noqa: S608
# Known without the mail log, which may not be read at all.
_ENDED: Final = "UPDATE holdings SET ended_at = ? WHERE message_id = ? AND ended_at IS NULL"
_NOTE_MOST: Final = 500


class Holder:
    """For one thread; connects when it is needed, and anew to a journal that took another's place."""

    def __init__(self, url: str, node: str) -> None:
        self._url = url
        self._node = node
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def due(self, now: datetime) -> Sequence[HoldOrder]:
        """Return orders whose time has come, the oldest first."""
        with self._used() as connection:
            found = connection.execute(_DUE, (self._node, time_out(now), _AT_ONCE)).fetchall()
            return [
                HoldOrder(
                    message,
                    verb,
                    queue_id,
                    account or 0,
                    credential,
                    username,
                    tuple(json.loads(tags)),
                    tuple([address for (address,) in connection.execute(_RECIPIENTS, (message,))]),
                    size,
                    note,
                    bool(itself),
                )
                for message, verb, queue_id, account, credential, username, tags, size, note, itself in found
            ]

    def settle(self, order: HoldOrder, state: HoldState, note: str, now: datetime) -> None:
        """Note what came of an order."""
        at = time_out(now)
        with self._used() as connection, transaction(connection):
            connection.execute(_SETTLED, (state.value, note[:_NOTE_MOST], at, order.message, order.verb))
            if state is not HoldState.STAYS:
                connection.execute(_ENDED, (at, order.message))

    def postpone(self, order: HoldOrder, note: str, until: datetime) -> None:
        """Note why an order could not be carried out yet, and when it is tried again."""
        with self._used() as connection, transaction(connection):
            values = (note[:_NOTE_MOST], time_out(until), order.message, order.verb)
            connection.execute(_POSTPONED, values)

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
