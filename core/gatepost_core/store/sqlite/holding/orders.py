"""A node's orders about held messages, without SQLAlchemy."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Final

from gatepost_core.domain import ids, spooled
from gatepost_core.domain.outcomes import BY_ITSELF, HELPER_ASKED, STAYS, HoldOrder, HoldState
from gatepost_core.store.ingest.intake import Noted
from gatepost_core.store.sqlite.driver import connect, faults, time_out, transaction
from gatepost_core.store.sqlite.ingesting import Ingester
from gatepost_core.store.sqlite.locate import file_identity

# Somebody waits for what he asked for. Then accounts take turns, each with its oldest: where there are more
# of them than are looked at at once, chance decides who comes first.
_ORDER: Final = "by_itself, verb, turn, random()"
_CLASS: Final = f"o.asked_by = '{BY_ITSELF}' AS by_itself, o.verb AS verb"
_DUE: Final = (
    f"WITH next AS (SELECT o.message_id AS id, {_CLASS}, row_number() OVER (PARTITION BY m.account_id, "  # noqa: S608 - our own words
    f"o.asked_by = '{BY_ITSELF}', o.verb ORDER BY o.due_at) AS turn "
    "FROM hold_orders AS o JOIN messages AS m ON m.id = o.message_id "
    "WHERE o.state = 'open' AND o.node = (SELECT id FROM nodes WHERE name = ?) AND o.due_at <= ? "
    f"ORDER BY {_ORDER} LIMIT ?) "
    "SELECT o.message_id, o.verb, m.queue_id, m.account_id, m.credential_id, m.username, m.tags, m.size, "
    "o.note, next.by_itself, o.asked_at, m.sender, m.header_from FROM next "
    "JOIN hold_orders AS o ON o.message_id = next.id JOIN messages AS m ON m.id = next.id "
    "ORDER BY next.by_itself, next.verb, next.turn, o.due_at"
)
_AT_ONCE: Final = 10
_RECIPIENTS: Final = "SELECT address FROM recipients WHERE message_id = ? AND state = 'held'"
# Asked for anew meanwhile, it is another order.
_THIS: Final = "WHERE message_id = ? AND verb = ? AND asked_at = ? AND state = 'open'"
_SETTLED: Final = f"UPDATE hold_orders SET state = ?, note = ?, done_at = ? {_THIS}"  # noqa: S608 - our own words
_BEGUN: Final = f"UPDATE hold_orders SET note = ? {_THIS}"  # noqa: S608
_POSTPONED: Final = f"UPDATE hold_orders SET note = ?, due_at = ? {_THIS}"  # noqa: S608
# Known without the mail log, which may not be read at all.
_ENDED: Final = "UPDATE holdings SET ended_at = ? WHERE message_id = ? AND ended_at IS NULL"
# Each reason is told once, also where what was told could not be noted.
_TOLD: Final = (
    "SELECT 1 FROM events WHERE message_id = ? AND type = 'held' AND json_extract(detail, '$.source') = "  # noqa: S608
    f"'{STAYS}' AND json_extract(detail, '$.reason') = ?"
)
_NOTE_MOST: Final = 500


class Holder:
    """For one thread; connects when it is needed, and anew to a journal that took another's place."""

    def __init__(self, url: str, node: str, ingester: Ingester) -> None:
        self._url = url
        self._node = node
        self._ingester = ingester
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def due(self, now: datetime) -> Sequence[HoldOrder]:
        """Return some of the orders whose time has come, in the order in which they are to be carried out."""
        with self._used() as connection:
            found = connection.execute(_DUE, (self._node, time_out(now), _AT_ONCE)).fetchall()
            return [_order(connection, row) for row in found]

    def begin(self, order: HoldOrder) -> bool:
        """Note that the helper is asked; say whether the order is still what is wanted."""
        with self._used() as connection, transaction(connection):
            return connection.execute(_BEGUN, (HELPER_ASKED, *_this(order))).rowcount == 1

    def settle(self, order: HoldOrder, state: HoldState, note: str, now: datetime) -> None:
        """Note what came of an order; of one that nobody looks at an event tells, too, that it stays held."""
        at = time_out(now)
        if state is HoldState.STAYS and order.by_itself:
            self._tell(order, note[:_NOTE_MOST], now)
        with self._used() as connection, transaction(connection):
            connection.execute(_SETTLED, (state.value, note[:_NOTE_MOST], at, *_this(order)))
            if state is not HoldState.STAYS:
                connection.execute(_ENDED, (at, order.message))

    def postpone(self, order: HoldOrder, note: str, until: datetime) -> None:
        """Note why an order could not be carried out yet, and when it is tried again."""
        with self._used() as connection, transaction(connection):
            connection.execute(_POSTPONED, (note[:_NOTE_MOST], time_out(until), *_this(order)))

    def _tell(self, order: HoldOrder, reason: str, now: datetime) -> None:
        with self._used() as connection:
            if connection.execute(_TOLD, (order.message, reason)).fetchone() is not None:
                return
        detail = json.dumps({"source": STAYS, "reason": reason}, ensure_ascii=False, separators=(",", ":"))
        event = spooled.Event("held", order.message, "", time_out(now), detail)
        self._ingester.tell([Noted(ids.new(int(now.timestamp() * 1000)), event)])

    def close(self) -> None:
        """Let go of the connection."""
        self._ingester.close()
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


def _order(connection: sqlite3.Connection, row: Any) -> HoldOrder:
    message, verb, queue_id, account, credential, username, tags, size, note, itself, *rest = row
    return HoldOrder(
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
        *rest,
    )


def _this(order: HoldOrder) -> tuple[str, str, str]:
    return order.message, order.verb, order.asked_at
