"""What the journal has of events that may suppress somebody, read without SQLAlchemy."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

from gatepost_core.domain.model import Mode
from gatepost_core.domain.suppressing import TYPES, Told
from gatepost_core.store.ingest.intake import lookup_address
from gatepost_core.store.sqlite.driver import time_in

# Events that are looked at in one step, and of them those that may suppress.
_LOOKED: Final = 5_000
_AT_ONCE: Final = 1_000
_END = "SELECT sequence FROM events WHERE node = ? AND sequence > ? ORDER BY sequence LIMIT 1 OFFSET ?"
_NEWEST = "SELECT max(sequence) FROM events WHERE node = ?"
_EVENT = (
    "SELECT e.sequence, e.id, e.type, e.time, e.message_id, e.recipient, e.account_id, e.detail, m.username, "
    "m.mode, m.tags FROM events AS e JOIN messages AS m ON m.id = e.message_id WHERE "
)
_EVENTS = (
    f"{_EVENT} e.node = ? AND e.sequence > ? AND e.sequence <= ? "  # noqa: S608 - our own names
    "AND +e.type IN (SELECT value FROM json_each(?)) ORDER BY e.sequence LIMIT ?"
)
_ONE = f"{_EVENT} e.id = ?"
_TYPES = json.dumps(TYPES)
_HAD = "SELECT 1 FROM recipients WHERE message_id = ? AND address = ?"
_SEVERAL = "SELECT count(*) FROM (SELECT 1 FROM recipients WHERE message_id = ? LIMIT 2)"
# What our own log shows; a report that says so proves nothing.
_OURS = "AND type = 'delivered' AND coalesce(json_extract(detail, '$.source'), 'log') = 'log'"
_DELIVERED = f"SELECT DISTINCT recipient FROM events WHERE message_id = ? {_OURS}"  # noqa: S608
_DELIVERED_SINCE = (
    f"SELECT message_id, recipient FROM events WHERE node = ? AND sequence > ? AND sequence <= ? {_OURS}"  # noqa: S608
)

_SENT: Final = (Mode.LIVE, Mode.HOLD)

# A message and its recipient, as it is looked up.
Waiting: TypeAlias = tuple[str, str]


def window(journal: sqlite3.Connection, node: int, after: int) -> tuple[int, list[Any], bool]:
    """Return how far the next events of a node go, those of them that may suppress, and whether more wait."""
    row = journal.execute(_END, (node, after, _LOOKED - 1)).fetchone()
    full = row is not None
    end = row[0] if row is not None else journal.execute(_NEWEST, (node,)).fetchone()[0] or 0
    if end <= after:
        return after, [], False
    found = journal.execute(_EVENTS, (node, after, end, _TYPES, _AT_ONCE)).fetchall()
    if len(found) == _AT_ONCE:
        return found[-1][0], found, True
    return end, found, full


def arrived(
    journal: sqlite3.Connection, windows: Iterable[tuple[int, int, int]], waits: dict[Waiting, str]
) -> Iterator[str]:
    """Take out those whose recipient our log shows now to have got the message, and yield their ids."""
    for window in windows if waits else ():
        for message, recipient in journal.execute(_DELIVERED_SINCE, window):
            number = waits.pop((message, lookup_address(recipient)), None)
            if number is not None:
                yield number


def one(journal: sqlite3.Connection, number: str) -> Told | None:
    """Return an event by its id; None where it is not there any more."""
    row = journal.execute(_ONE, (number,)).fetchone()
    return None if row is None else told(journal, row, {})


def told(journal: sqlite3.Connection, row: Any, delivered: dict[str, set[str]]) -> Told:
    """Return an event with what the journal knows of its message; ``delivered``: what was read before."""
    _, number, type_, at, message, recipient, account, detail, username, mode, tags = row
    address = lookup_address(recipient)
    had = bool(address) and journal.execute(_HAD, (message, address)).fetchone() is not None
    several = journal.execute(_SEVERAL, (message,)).fetchone()[0] > 1
    if had and several and message not in delivered:
        delivered[message] = {lookup_address(one) for (one,) in journal.execute(_DELIVERED, (message,))}
    return Told(
        id=number,
        type=type_,
        time=time_in(at),
        message=message,
        recipient=recipient,
        account_id=account,
        credential=username,
        mode=Mode.LIVE if mode in _SENT else Mode.SANDBOX,  # a newer release's counts for nothing
        had=had,
        several=several,
        delivered=address in delivered.get(message, ()),
        detail=json.loads(detail),
        tags=tuple(json.loads(tags)),
    )
