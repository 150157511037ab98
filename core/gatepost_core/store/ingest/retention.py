"""Letting go of what is older than it is to be kept: messages with all that tells of them, and counts.

An account says how long its own are kept, or the setting does. What is in the hold queue is kept until it has
left that, however old it is: nobody could release it otherwise, nor know of it. It is done in small batches,
a transaction each, so that whoever writes meanwhile waits a few milliseconds, and may be stopped after any of
them: what is left is found again the next time. Functions on connections of the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection, Table, delete, func, literal_column, not_, select, tuple_

from gatepost_core.store import paging
from gatepost_core.store.holding.tables import OPEN, hold_orders, holdings
from gatepost_core.store.ingest.forwards import forwards
from gatepost_core.store.schema import accounts, events, messages, recipients, rollups, tags

# Of messages in one transaction; each has some rows of recipients, tags and events.
BATCH: Final = 50
# Of rows that belong to no message, and of one message's that has very many.
_ROWS: Final = 1_000
# Counts are small, and what statistics over years are made of.
ROLLUPS_DAYS: Final = 800
Begin = Callable[[], AbstractContextManager[Connection]]
_HELD: Final = select(literal_column("1")).where(holdings.c.message_id == messages.c.id, OPEN).exists()


@dataclass(frozen=True, slots=True)
class Kept:
    """For how many days messages are kept; 0: for good. ``by_account``: accounts with days of their own."""

    days: int
    by_account: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Pruned:
    """What is gone so far."""

    messages: int = 0
    events: int = 0
    counts: int = 0


def kept(connection: Connection, days: int) -> Kept:
    """Return how long messages are kept, by the directory on ``connection`` and the setting ``days``."""
    own = select(accounts.c.id, accounts.c.keep_days).where(accounts.c.keep_days.is_not(None))
    return Kept(days, {row.id: row.keep_days for row in connection.execute(own)})


def shorter(keep: Kept, days: int) -> Kept:
    """Return what keeps nothing for longer than ``days``, above 0, whoever wanted it longer or for good."""
    return Kept(
        min(keep.days or days, days), {one: min(own or days, days) for one, own in keep.by_account.items()}
    )


def old(begin: Begin, keep: Kept, now: datetime) -> int:
    """Return how many messages ``prune`` would let go of now; an index of them is read."""
    number = 0
    for account, days in _accounts(begin, keep):
        beyond = paging.since(now - timedelta(days=days))
        with begin() as connection:
            query = select(func.count()).where(_of(account), messages.c.id < beyond, not_(_HELD))
            number += connection.execute(query).scalar_one()
    return number


def prune(begin: Begin, keep: Kept, now: datetime, batch: int = BATCH) -> Iterator[Pruned]:
    """Let go of what is old, and yield how much is gone after each batch, which is committed then.

    ``begin`` opens a connection of the journal in a transaction that ends with it. Between two batches
    nothing is held: whoever takes them may pause, or stop.
    """
    gone = Pruned()
    for account, days in _accounts(begin, keep):
        beyond = paging.since(now - timedelta(days=days))
        for number, told in _messages(begin, account, beyond, batch):
            gone = replace(gone, messages=gone.messages + number, events=gone.events + told)
            yield gone
    for condition in _anonymous(keep, now):
        for number in _rows(begin, events, condition):
            gone = replace(gone, events=gone.events + number)
            yield gone
    hour = int((now - timedelta(days=max(ROLLUPS_DAYS, keep.days))).timestamp()) // 3600
    for number in _rows(begin, rollups, rollups.c.hour < hour) if keep.days else ():
        gone = replace(gone, counts=gone.counts + number)
        yield gone


def _accounts(begin: Begin, keep: Kept) -> Iterator[tuple[int | None, int]]:
    """Yield the accounts of messages and their days, where they are not kept for good.

    None is the account of messages of releases that did not note it: the setting counts for them.
    """
    found: list[int | None] = [None]
    last = -1
    while True:  # from each account to the next, by the index: their messages are many more than they
        query = select(messages.c.account_id).where(messages.c.account_id > last)
        with begin() as connection:
            account = connection.execute(query.order_by(messages.c.account_id).limit(1)).scalar()
        if account is None:
            break
        found.append(account)
        last = account
    for one in found:
        days = keep.days if one is None else keep.by_account.get(one, keep.days)
        if days:
            yield one, days


def _anonymous(keep: Kept, now: datetime) -> Iterator[ColumnElement[bool]]:
    """Yield which events that name no message are old: an account's of its own days, and all others'."""
    own = list(keep.by_account)
    whose = [(events.c.account_id == one, days) for one, days in keep.by_account.items()]
    for account, days in [*whose, (events.c.account_id.not_in(own), keep.days)]:
        if days:
            beyond = paging.since(now - timedelta(days=days))
            yield (events.c.message_id == "") & (events.c.id < beyond) & account


def _messages(begin: Begin, account: int | None, beyond: str, batch: int) -> Iterator[tuple[int, int]]:
    """Remove an account's messages before an id; yield how many of them, and of their events, are gone."""
    query = select(messages.c.id).where(_of(account), messages.c.id < beyond, not_(_HELD))
    oldest = query.order_by(messages.c.id).limit(batch)
    since = ""
    while True:
        with begin() as connection:
            ids = list(connection.execute(oldest.where(messages.c.id >= since)).scalars())
            if not ids:
                return
            whole, told = _removed(connection, ids)
        since = ids[0]  # what is older is held: it is not looked at again and again
        yield whole, told


def _of(account: int | None) -> ColumnElement[bool]:
    return messages.c.account_id.is_(None) if account is None else messages.c.account_id == account


def _removed(connection: Connection, numbers: list[str]) -> tuple[int, int]:
    """Remove messages and all that tells of them; return how many of them, and of their events, are gone.

    Of a message with very many recipients or events only some of these are: it goes with the last of them.
    """
    told = _some(connection, events, events.c.message_id.in_(numbers))
    if told == _ROWS or _some(connection, recipients, recipients.c.message_id.in_(numbers)) == _ROWS:
        return 0, told
    connection.execute(delete(tags).where(tags.c.message_id.in_(numbers)))
    for table in (holdings, hold_orders, forwards):
        connection.execute(delete(table).where(table.c.message_id.in_(numbers)))
    connection.execute(delete(messages).where(messages.c.id.in_(numbers)))
    return len(numbers), told


def _some(connection: Connection, table: Table, condition: ColumnElement[bool]) -> int:
    """Remove at most so many rows; return how many."""
    key = tuple_(*table.primary_key.columns)
    query = select(*table.primary_key.columns).where(condition).limit(_ROWS)
    return connection.execute(delete(table).where(key.in_(query))).rowcount


def _rows(begin: Begin, table: Table, condition: ColumnElement[bool]) -> Iterator[int]:
    """Remove all rows that meet a condition; yield how many went with each batch."""
    while True:
        with begin() as connection:
            number = _some(connection, table, condition)
        if not number:
            return
        yield number
