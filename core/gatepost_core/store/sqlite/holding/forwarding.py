"""Reports to be forwarded, in SQLite, for the daemon: noted as they come, and what became of each."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any, Final

from gatepost_core.domain.outcomes import ForwardState, SentTo, Waiting
from gatepost_core.domain.spooled import Report
from gatepost_core.store.sqlite.driver import time_in, time_out, transaction
from gatepost_core.store.sqlite.holding.reconnecting import Reconnecting

_NOTE: Final = (
    "INSERT OR IGNORE INTO forwards "
    "(id, node, message_id, account_id, address, file, kept_at, due_at, state) VALUES "
    "(?1, ?2, ?3, coalesce((SELECT account_id FROM messages WHERE id = ?3), 0), ?4, ?5, ?6, ?6, 'open')"
)
_NODE: Final = "SELECT id FROM nodes WHERE name = ?"
_OPEN: Final = "FROM forwards WHERE state = 'open' AND node = :node"
_ANY: Final = f"SELECT 1 {_OPEN} AND due_at <= :now LIMIT 1"
# From one account to the next, and in it from one message to the next, by the index: so many steps.
_WALK: Final = (
    "WITH RECURSIVE next (value, step) AS (SELECT (SELECT min({0}) {1} AND {0} > :after), 1 UNION ALL "
    "SELECT (SELECT min({0}) {1} AND {0} > next.value), step + 1 FROM next "
    "WHERE value IS NOT NULL AND step < :steps) SELECT value, {2} FROM next WHERE value IS NOT NULL"
)
_ACCOUNTS: Final = _WALK.format("account_id", _OPEN, "NULL")
_OF_ACCOUNT: Final = f"{_OPEN} AND account_id = :account"
_MESSAGES: Final = _WALK.format(
    "message_id",
    _OF_ACCOUNT,
    f"(SELECT id {_OF_ACCOUNT} AND message_id = next.value AND due_at <= :now ORDER BY due_at LIMIT 1)",
)
_ROW: Final = (
    "SELECT f.account_id, f.id, f.message_id, coalesce(m.account_id, 0), m.sender, f.address, f.file, "
    "f.kept_at, f.attempts, coalesce(m.credential_id, 0), coalesce(m.username, ''), f.note "
    "FROM forwards AS f LEFT JOIN messages AS m ON m.id = f.message_id WHERE f.id = ? AND f.state = 'open'"
)
_OWNED: Final = "UPDATE forwards SET account_id = ? WHERE id = ?"
# Whatever a clock that was ahead has noted does not count.
_SENT: Final = (
    "SELECT done_at FROM forwards WHERE {} = ? AND state = 'sent' AND done_at > ? AND done_at <= ? "
    "ORDER BY done_at DESC LIMIT 1 OFFSET ?"
)
_FULL: Final = {
    SentTo.ACCOUNT: _SENT.format("account_id"),
    SentTo.ADDRESS: _SENT.format("recipient"),
    SentTo.MESSAGE: _SENT.format("message_id"),
}
# Hosts really send of each recipient a delay and an end, and two beside. Whoever got the message knows its
# bounce address, and may write to it what he likes.
_ENOUGH: Final = (
    "SELECT (SELECT count(*) FROM forwards WHERE message_id = ?1 AND state = 'sent') >= "
    "2 + 2 * (SELECT count(*) FROM recipients WHERE message_id = ?1)"
)
_BEGUN: Final = "UPDATE forwards SET attempts = attempts + 1, due_at = ? WHERE id = ? AND state = 'open'"
_SETTLED: Final = (
    "UPDATE forwards SET state = ?, note = ?, done_at = ?, account_id = ?, recipient = ? "
    "WHERE id = ? AND state = 'open'"
)
_POSTPONED: Final = "UPDATE forwards SET note = ?, due_at = ?, attempts = ? WHERE id = ? AND state = 'open'"
_FORGOTTEN: Final = (
    "DELETE FROM forwards WHERE id IN (SELECT id FROM forwards WHERE state != 'open' AND done_at < ? LIMIT ?)"
)
_FORGOTTEN_MOST: Final = 1_000
_NOTE_MOST: Final = 500
_HOUR: Final = timedelta(hours=1)
# Accounts and messages that one look passes by, most of which may have nothing that is due.
_LOOKS: Final = 2_000
_REMEMBERED: Final = 10_000
_ADDRESS_MOST: Final = 320


def note(connection: sqlite3.Connection, node: int, reports: Mapping[str, Report]) -> None:
    """Note reports of a node, by their ids, within a transaction. Raises the driver's errors."""
    connection.executemany(
        _NOTE,
        [(number, node, one.message, one.address, one.file, one.at) for number, one in reports.items()],
    )


class Forwarder(Reconnecting):
    """A node's reports. For one thread; connects when needed, and anew to a journal in another's place."""

    def __init__(self, url: str, node: str) -> None:
        super().__init__(url)
        self._node = node
        # Whose turn came last: the account, and of each account the message.
        self._account = -1
        self._messages: dict[int, str] = {}
        self._looks = 0

    def due(self, now: datetime, most: int, without: Collection[int] = ()) -> Sequence[Waiting]:
        """Return reports whose time has come, at most so many, none of these accounts'.

        Accounts take turns, and in each its messages, the oldest first, each with its report that is due
        longest. So a look costs the same however many wait, and nobody's flood is in front of others.
        """
        with self._used() as connection:
            row = connection.execute(_NODE, (self._node,)).fetchone()
            names = {"node": row[0] if row else None, "now": time_out(now)}
            if row is None or connection.execute(_ANY, names).fetchone() is None:
                return []
            found = [
                connection.execute(_ROW, (one,)) for one in self._turns(connection, names, most, without)
            ]
            rows = [one for cursor in found for one in cursor.fetchall()]
            # Noted before its message was: it is among its account's from now on.
            owned = [(one[3], one[1]) for one in rows if one[0] != one[3]]
            if owned:
                with transaction(connection):
                    connection.executemany(_OWNED, owned)
            return [_waiting(one[1:]) for one in rows if one[3] not in without]

    def _turns(
        self, connection: sqlite3.Connection, names: dict[str, Any], most: int, without: Collection[int]
    ) -> Sequence[str]:
        """Return ids of due reports: of each account in its turn, one after the other."""
        self._looks = _LOOKS
        of_each: list[list[tuple[int, str, str]]] = []
        for account, _ in self._walked(connection, _ACCOUNTS, names, self._account, -1):
            self._account = account
            if account in without:
                continue
            of_each.append(self._of_account(connection, names | {"account": account}, account, most))
            if sum(map(bool, of_each)) == most:
                break
        turns = [one for turn in zip_longest(*of_each) for one in turn if one][:most]
        if len(self._messages) > _REMEMBERED:
            self._messages.clear()
        self._messages.update({account: message for account, message, _ in turns})
        return [number for _, _, number in turns]

    def _of_account(
        self, connection: sqlite3.Connection, names: dict[str, Any], account: int, most: int
    ) -> list[tuple[int, str, str]]:
        found: list[tuple[int, str, str]] = []
        begin = self._messages.get(account, "")
        for message, number in self._walked(connection, _MESSAGES, names, begin, ""):
            if number is not None:
                found.append((account, message, number))
            elif not found:
                self._messages[account] = message
            if len(found) == most:
                break
        return found

    def _walked(
        self, connection: sqlite3.Connection, query: str, names: dict[str, Any], begin: Any, first: Any
    ) -> Iterator[tuple[Any, Any]]:
        """Yield what comes behind ``begin``, then what comes before it, while looks are left."""
        for after, last in ((begin, None), (first, begin)):
            for value, number in connection.execute(query, names | {"after": after, "steps": _LOOKS}):
                self._looks -= 1
                if self._looks < 0 or (last is not None and value > last):
                    return
                yield value, number

    def full_since(self, one: Waiting, of: SentTo, most: int, now: datetime) -> datetime | None:
        """Return when the first of the last ``most`` was sent, if that is less than an hour ago."""
        whose = {
            SentTo.ACCOUNT: one.account_id,
            SentTo.ADDRESS: _recipient(one),
            SentTo.MESSAGE: one.message,
        }
        values = whose[of], time_out(now - _HOUR), time_out(now), most - 1
        with self._used() as connection:
            row = connection.execute(_FULL[of], values).fetchone()
        return None if row is None else time_in(row[0])

    def enough(self, one: Waiting) -> bool:
        """Say whether as many of a report's message were sent as its recipients can make."""
        with self._used() as connection:
            return bool(connection.execute(_ENOUGH, (one.message,)).fetchone()[0])

    def begin(self, one: Waiting, until: datetime) -> bool:
        """Note an attempt before it, and when the next one is; say whether the report waits still."""
        with self._used() as connection, transaction(connection):
            return connection.execute(_BEGUN, (time_out(until), one.id)).rowcount == 1

    def settle(self, one: Waiting, state: ForwardState, note: str, now: datetime) -> None:
        """Note what became of a report."""
        values = (state.value, note[:_NOTE_MOST], time_out(now), one.account_id, _recipient(one), one.id)
        with self._used() as connection, transaction(connection):
            connection.execute(_SETTLED, values)

    def postpone(self, one: Waiting, note: str, until: datetime) -> None:
        """Note why a report could not be sent yet, its attempts, and when it is tried again."""
        with self._used() as connection, transaction(connection):
            connection.execute(_POSTPONED, (note[:_NOTE_MOST], time_out(until), one.attempts, one.id))

    def forget(self, before: datetime) -> int:
        """Let go of what was settled before; return how many are gone, some at a time."""
        with self._used() as connection, transaction(connection):
            return connection.execute(_FORGOTTEN, (time_out(before), _FORGOTTEN_MOST)).rowcount


def _recipient(one: Waiting) -> str:
    """Return whom a report goes to as it is counted: in one spelling, whoever's message it is about."""
    return (one.sender or "").lower()[:_ADDRESS_MOST]


def _waiting(row: Sequence[Any]) -> Waiting:
    number, message, account_id, sender, address, file, kept_at, *rest = row
    return Waiting(number, message, account_id, sender, address, file, time_in(kept_at), *rest)
