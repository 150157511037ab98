"""A node's orders about held messages, without SQLAlchemy."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Any, Final

from gatepost_core.domain import ids, spooled
from gatepost_core.domain.outcomes import BY_ITSELF, HELPER_ASKED, STAYS, HoldOrder, HoldState
from gatepost_core.domain.rules.places import Place, kept
from gatepost_core.store.ingest.intake import Noted
from gatepost_core.store.sqlite.driver import time_out, transaction
from gatepost_core.store.sqlite.holding.reconnecting import Reconnecting
from gatepost_core.store.sqlite.ingesting import Ingester

# Somebody waits for what he asked for, and what is dropped is not to be sent meanwhile.
_CLASSES: Final = (
    f"asked_by != '{BY_ITSELF}' AND verb = 'drop'",
    f"asked_by != '{BY_ITSELF}' AND verb = 'release'",
    f"asked_by = '{BY_ITSELF}' AND verb = 'release'",
)
_OPEN: Final = "FROM hold_orders WHERE state = 'open' AND node = :node"
_FIRST: Final = f"SELECT message_id {_OPEN} AND due_at <= :now ORDER BY due_at LIMIT :most"
# From one account to the next by the index, whatever each has: so many steps, and at most so many found.
_NEXT: Final = f"(SELECT min(account_id) {_OPEN} AND {{0}} AND account_id > {{1}})"
_ACCOUNTS: Final = (
    f"WITH RECURSIVE next (account, step) AS (SELECT {_NEXT.format('{0}', ':after')}, 1 UNION ALL "  # noqa: S608
    f"SELECT {_NEXT.format('{0}', 'next.account')}, step + 1 FROM next "
    "WHERE account IS NOT NULL AND step < :steps) SELECT account, EXISTS (SELECT 1 "
    f"{_OPEN} AND {{0}} AND account_id = next.account AND due_at <= :now) FROM next WHERE account IS NOT NULL"
)
_OF_ACCOUNT: Final = (
    f"SELECT message_id {_OPEN} AND {{}} AND account_id = :account AND due_at <= :now "
    "ORDER BY due_at LIMIT :most"
)
_ORDER: Final = (
    "SELECT o.message_id, o.verb, m.queue_id, m.account_id, m.credential_id, m.username, m.tags, m.size, "  # noqa: S608
    f"o.note, o.asked_by = '{BY_ITSELF}', o.asked_at, m.sender, m.header_from, coalesce((SELECT "
    "json_extract(e.detail, '$.header_sender') FROM events AS e WHERE e.message_id = m.id AND +e.type = "
    "'held' AND json_extract(e.detail, '$.source') = 'milter' AND json_type(e.detail, '$.header_sender') = "
    "'array' LIMIT 1), '[]') FROM hold_orders AS o "
    "JOIN messages AS m ON m.id = o.message_id WHERE o.message_id = ? AND o.state = 'open'"
)
_NODE: Final = "SELECT id FROM nodes WHERE name = ?"
# Accounts that are looked at for each kind of order at once, most of which may have nothing that is due.
_ACCOUNTS_AT_ONCE: Final = 1_000
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
_PLACES: Final = (
    "SELECT json_extract(detail, '$.places') FROM events WHERE message_id = ? AND +type = 'held' AND "
    "json_extract(detail, '$.source') = 'milter' LIMIT 1"
)
_NOTE_MOST: Final = 500


class Holder(Reconnecting):
    """For one thread; connects when it is needed, and anew to a journal that took another's place."""

    def __init__(self, url: str, node: str, ingester: Ingester) -> None:
        super().__init__(url)
        self._node = node
        self._ingester = ingester
        # Of each kind of order, the account that was looked at last.
        self._turn: dict[int, int] = {}

    def due(self, now: datetime) -> Sequence[HoldOrder]:
        """Return some of the orders whose time has come, in the order in which they are to be carried out."""
        with self._used() as connection:
            row = connection.execute(_NODE, (self._node,)).fetchone()
            names = {"node": row[0] if row else None, "now": time_out(now), "most": _AT_ONCE}
            found = self._turns(connection, names) if row else []
            rows = [connection.execute(_ORDER, (message,)).fetchone() for message in found]
            return [_order(connection, row) for row in rows if row is not None]

    def _turns(self, connection: sqlite3.Connection, names: dict[str, Any]) -> Sequence[str]:
        """Return messages whose orders are due: of each kind accounts take turns, each with its oldest.

        It goes from account to account, and goes on the next time behind the one whose turn came last. Beyond
        so many steps what has waited longest comes, whosever it is. So a look costs the same however
        many orders are due, and however many accounts have one.
        """
        oldest = [message for (message,) in connection.execute(_FIRST, names)]
        found = dict[str, None]()
        for kind, which in enumerate(_CLASSES) if oldest else ():
            wanted = _AT_ONCE - len(found)
            if wanted <= 0:
                break
            accounts = self._accounts(connection, kind, which, names, wanted)
            query = _OF_ACCOUNT.format(which)
            of_each = [connection.execute(query, names | {"account": one}).fetchall() for one in accounts]
            found.update(dict.fromkeys([row[0] for turn in zip_longest(*of_each) for row in turn if row]))
        found.update(dict.fromkeys(oldest))
        return list(found)[:_AT_ONCE]

    def _accounts(
        self, connection: sqlite3.Connection, kind: int, which: str, names: dict[str, Any], most: int
    ) -> Sequence[int]:
        """Return at most so many accounts that have due orders of a kind, the one whose turn it is first."""
        found, steps, begin = list[int](), _ACCOUNTS_AT_ONCE, self._turn.get(kind, -1)
        for after, last in ((begin, None), (-1, begin)):
            asked = names | {"after": after, "steps": steps}
            for account, due in connection.execute(_ACCOUNTS.format(which), asked):
                if last is not None and account > last:
                    return found
                steps -= 1
                self._turn[kind] = account
                if due:
                    found.append(account)
                if len(found) == most or not steps:
                    return found
        return found

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
        super().close()


def _order(connection: sqlite3.Connection, row: Any) -> HoldOrder:
    message, verb, queue_id, account, credential, username, tags, size, note, itself, asked_at, *who = row
    sender, header_from, header_sender = who
    places = () if itself or verb != "release" else _places(connection, message)
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
        asked_at,
        sender,
        header_from,
        tuple(map(str, json.loads(header_sender))),
        places,
    )


def _places(connection: sqlite3.Connection, message: str) -> tuple[Place, ...]:
    row = connection.execute(_PLACES, (message,)).fetchone()
    return kept(json.loads(row[0])) if row is not None and row[0] is not None else ()


def _this(order: HoldOrder) -> tuple[str, str, str]:
    return order.message, order.verb, order.asked_at
