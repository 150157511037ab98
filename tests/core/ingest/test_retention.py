"""What is older than it is to be kept goes, of each account by its own days, in small steps."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import Connection

from gatepost_core.domain import MessageRecord, ids
from gatepost_core.store import accounts
from gatepost_core.store.backend import Begin
from gatepost_core.store.ingest import retention
from gatepost_core.store.ingest.retention import Kept, Pruned
from tests.core.ingest.world import NOON, RECORD, World, accepted, event, milliseconds


@pytest.fixture
def begin(world: World) -> Iterator[Begin]:
    with world.backend.transactions() as begin:
        yield begin


def old(days: float, account: int = 1, number: int = 0) -> MessageRecord:
    at = NOON - timedelta(days=days) + timedelta(milliseconds=number)
    return replace(RECORD, id=ids.new(milliseconds(at)), created_at=at, account_id=account)


def pruned(begin: Begin, keep: Kept, now: datetime = NOON) -> list[Pruned]:
    return list(retention.prune(begin, keep, now))


def ages(world: World) -> list[tuple[int, int]]:
    """Return account and age in days of each message that is left."""
    rows = world.rows("SELECT account_id, created_at FROM messages ORDER BY account_id, id")
    return [(account, (NOON.replace(tzinfo=None) - datetime.fromisoformat(at)).days) for account, at in rows]


def test_each_account_keeps_its_messages_for_its_own_days(world: World, begin: Begin) -> None:
    world.write(*[accepted(old(days, account)) for account in (1, 2, 3) for days in (5, 50, 500)])
    world.take()
    pruned(begin, Kept(30, {2: 100, 3: 0}))
    assert ages(world) == [(1, 5), (2, 50), (2, 5), (3, 500), (3, 50), (3, 5)]
    pruned(begin, Kept(0, {3: 10}))
    assert ages(world) == [(1, 5), (2, 50), (2, 5), (3, 5)]


def test_nothing_is_left_of_a_message_that_went(world: World, begin: Begin) -> None:
    for record in (old(50), old(5)):
        world.write(accepted(record), event("delivered", record))
    world.take()
    assert pruned(begin, Kept(30, {}))[-1] == Pruned(messages=1, events=2)
    for table, left in (("messages", 1), ("recipients", 2), ("tags", 2), ("events", 2)):
        assert world.count(table) == left, table


def test_messages_of_the_release_before_go_as_well(world: World, begin: Begin) -> None:
    world.write(accepted(old(50)), accepted(old(5)))
    world.take()
    with closing(sqlite3.connect(world.journal)) as connection, connection:
        connection.execute("UPDATE messages SET account_id = NULL")
    pruned(begin, Kept(30, {}))
    assert world.count("messages") == 1


def test_it_goes_in_small_steps_and_may_stop_after_each(world: World, begin: Begin) -> None:
    world.write(*[accepted(old(50, number=number)) for number in range(120)])
    world.take(200)
    steps = retention.prune(begin, Kept(30, {}), NOON)
    assert next(steps) == Pruned(messages=50, events=50)
    assert world.count("messages") == 70  # committed, and nobody is kept waiting now
    with closing(sqlite3.connect(world.journal, timeout=0)) as connection, connection:
        connection.execute("BEGIN IMMEDIATE")
    assert [step.messages for step in steps] == [100, 120]


def test_a_message_with_very_many_recipients_goes_in_small_steps_too(world: World, begin: Begin) -> None:
    many = tuple(f"r{number}@example.net" for number in range(3_500))
    world.write(accepted(replace(old(50), recipients=many)))
    world.take()
    lengths: list[int] = []

    def counted() -> AbstractContextManager[Connection]:
        lengths.append(world.count("recipients"))
        return begin()

    assert list(retention.prune(counted, Kept(30, {}), NOON))[-1] == Pruned(messages=1, events=1)
    lengths.append(world.count("recipients"))
    assert max(before - after for before, after in pairwise(lengths)) == 1_000
    assert lengths[-1] == 0


def test_counts_are_kept_longer_than_messages(world: World, begin: Begin) -> None:
    world.write(accepted(old(700)), accepted(old(900)))
    world.take()
    assert pruned(begin, Kept(0, {})) == []
    assert pruned(begin, Kept(30, {}))[-1].messages == 2
    assert world.counted("credential") == {"": (1, 2)}


def test_days_of_accounts_come_from_the_directory(world: World) -> None:
    with world.backend.directory(write=True) as connection:
        for name, days in (("a", 30), ("b", None), ("c", 0)):
            accounts.add(connection, name, NOON)
            accounts.change(connection, name, keep_days=days)
        assert retention.kept(connection, 90) == Kept(90, {1: 30, 3: 0})
