"""What suspension counts as new recipients, and how much of the journal one step of it reads."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from gatepost_core.domain import Mode
from gatepost_core.domain.limits.suspending import Cause, Threshold
from gatepost_core.store.sqlite.suspending import counting

from .test_suspender import DAY, Node
from .test_unqueued import refused
from .world import World, accepted

BURSTS = {Cause.NEW_RECIPIENTS: Threshold(10, 20)}
FEW = {Cause.NEW_RECIPIENTS: Threshold(0, 1_000)}


def test_a_burst_of_new_recipients_is_one_of_those_the_account_never_wrote_to(world: World) -> None:
    node = Node(world, BURSTS)
    known = node.sent(10)
    for _ in range(5):
        node.take([accepted(node.message(1, one.recipients[0])) for one in known])
    assert node.done() == []
    why = "11 recipients in an hour to whom its account had not written before, more than 10"
    node.sent(1)
    assert node.done() == [("one", "warned", why)]
    node.world.now += timedelta(hours=1, minutes=6)
    node.sent(10)
    assert node.done() == []
    node.sent(11)
    assert [action for _, action, _ in node.done()] == ["suspended"]


def test_neither_a_sandbox_makes_recipients_known_nor_another_account_makes_them_new(world: World) -> None:
    node = Node(world, {Cause.NEW_RECIPIENTS: Threshold(0, 2)})
    addresses = [f"many{one}@example.org" for one in range(3)]
    node.take([accepted(node.message(1, one)) for one in addresses[:2]])
    # The other account floods what this one knows.
    for one in addresses[:2]:
        node.take([accepted(node.message(2, one, mode=Mode.SANDBOX)) for _ in range(120)])
    node.take([accepted(node.message(1, one)) for one in addresses[:2]])
    assert node.done() == []
    node.take([accepted(node.message(1, addresses[2], mode=Mode.SANDBOX)) for _ in range(120)])
    node.take([accepted(node.message(1, addresses[2]))])
    assert [name for name, _, _ in node.done()] == ["one"]


def test_recipients_whom_others_flood_stay_known_whatever_the_account_tried_meanwhile(world: World) -> None:
    node = Node(world, {Cause.NEW_RECIPIENTS: Threshold(0, 2)})
    addresses = [f"many{one}@example.org" for one in range(3)]
    node.take([accepted(node.message(1, one)) for one in addresses[:2]])
    assert node.done() == []
    for one in addresses[:2]:
        node.take([accepted(node.message(2, one, mode=Mode.SANDBOX)) for _ in range(120)])
    tries = [node.message(1, one) for one in addresses[:2]]
    node.take([accepted(node.message(1, one, mode=Mode.SANDBOX)) for one in addresses[:2]])
    node.take(map(accepted, tries))
    refused(tries, world)
    node.take([accepted(node.message(1, one)) for one in addresses[:2]])
    assert node.done() == []
    assert world.rows("SELECT sum(fresh) FROM sender_counts WHERE credential_id = 1") == [(2,)]


@pytest.mark.parametrize("of", [FEW, {Cause.BOUNCES: Threshold(4, 8)}])
def test_a_step_reads_so_many_recipients_and_the_next_goes_on(
    world: World, of: dict[Cause, Threshold], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "_ROWS_AT_ONCE", 100)
    node = Node(world, of)
    addresses = [f"many{one}@example.org" for one in range(20)]
    node.take([accepted(node.message(1, *addresses)) for _ in range(12)])
    counted = [0]
    while node.follower.step().more:
        ((number,),) = world.rows("SELECT sum(recipients) FROM sender_counts")
        counted.append(number)
    steps = [later - earlier for earlier, later in pairwise(counted)]
    # 20 rows a message, and for bursts as many again for each message before it. The last step is not noted.
    assert steps == ([60, 40, 20, 20, 20, 20, 20, 20] if of is FEW else [100, 100])
    assert world.rows("SELECT sum(recipients), sum(fresh) FROM sender_counts") == [
        (240, 20 if of is FEW else 0)
    ]


def test_all_recipients_of_a_message_are_asked_for_at_once(world: World) -> None:
    node = Node(world, BURSTS)
    asked = {}
    for number in (1, 5, 500):
        node.take([accepted(node.message(1, *[f"{number}.{one}@example.org" for one in range(number)]))])
        with closing(sqlite3.connect(world.journal)) as journal:
            said: list[Any] = []
            journal.set_trace_callback(said.append)
            look = counting.Counting(node.thresholds, lambda _: world.now - DAY, lambda _: False).look
            seen = look(journal, world.now)
            assert sum(counts[counting.FRESH] for counts in seen.counts.values()) == number
            asked[number] = len(said)
        node.done()
    assert asked[1] == asked[5] == asked[500]
