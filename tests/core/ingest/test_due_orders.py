"""Orders that are due at once, many of them: a look costs the same, and each account has its turn."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from gatepost_core.domain.outcomes import HoldState
from gatepost_core.store.backend import Holder
from tests.core.ingest.test_holding import held_by_us
from tests.core.ingest.world import NOON, World, accepted, numbered

FEW, MANY = 400, 1_600


def scheduled(world: World, orders: range, accounts: int) -> None:
    """Have messages held whose time has come, each account the same number of them."""
    records = [numbered(number, account_id=1 + number % accounts) for number in orders]
    world.write(*map(accepted, records))
    world.write(*[held_by_us(one, scheduled=True) for one in records])
    world.take(5_000)


def looked(holder: Holder, world: World) -> int:
    """Return how many steps of SQLite's machine a look takes."""
    steps = [0]

    def step() -> int:
        steps[0] += 1
        return 0

    connection = holder._connection  # type: ignore[attr-defined]
    connection.set_progress_handler(step, 1)
    assert len(holder.due(world.now)) == 10
    connection.set_progress_handler(None, 0)
    return steps[0]


@pytest.mark.parametrize("accounts", [1, 40, MANY])
def test_a_look_costs_the_same_however_many_orders_are_due(world: World, accounts: int) -> None:
    world.now = NOON + timedelta(minutes=1)
    holder = world.backend.holder("node")
    scheduled(world, range(1, FEW), min(accounts, FEW))
    holder.due(world.now)
    few = looked(holder, world)
    scheduled(world, range(FEW, MANY), accounts)
    assert looked(holder, world) < 1.2 * few
    holder.close()


def test_each_account_has_its_turn_however_much_another_has(world: World) -> None:
    world.now = NOON + timedelta(minutes=1)
    holder = world.backend.holder("node")
    scheduled(world, range(1, MANY), 1)
    others = [numbered(MANY + number, account_id=1 + number) for number in range(1, 26)]
    world.write(*[entry for one in others for entry in (accepted(one), held_by_us(one, scheduled=True))])
    world.take()
    turns = Counter[int]()
    for _ in range(3):
        for order in holder.due(world.now):
            turns[order.account_id] += 1
            holder.settle(order, HoldState.DONE, "", world.now)
    assert set(turns) == set(range(1, 27))
    holder.close()


def test_accounts_whose_orders_are_not_due_yet_hide_no_other(world: World) -> None:
    world.now = NOON + timedelta(minutes=1)
    holder = world.backend.holder("node")
    scheduled(world, range(1, MANY), MANY)
    first = numbered(MANY + 5, account_id=MANY + 5, created_at=world.now - timedelta(hours=1))
    world.write(accepted(first), held_by_us(first, scheduled=True))
    world.take()
    (order,) = holder.due(first.created_at + timedelta(minutes=1))
    assert order.message == first.id
    holder.close()
