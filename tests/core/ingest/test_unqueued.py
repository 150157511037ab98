"""What suspension counts of messages that Postfix did not queue after all: nothing, told in any order."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from gatepost_core.domain import MessageRecord
from gatepost_core.domain.limits.suspending import Cause, Threshold
from gatepost_core.domain.outcomes import Logged, Told

from .test_suspender import BOUNCES, Node
from .world import World, accepted


def refused(records: Iterable[MessageRecord], world: World) -> None:
    """Have the mail log tell that Postfix did not queue messages after all."""
    at = int(world.now.timestamp() * 1_000_000)
    lines = [Told(one.queue_id, "refused", "", at, {"source": "log"}, "refused") for one in records]
    world.hear(Logged("refused", lines))


@pytest.mark.parametrize("at_once", [True, False])
def test_what_was_not_queued_after_all_is_no_recipient(world: World, at_once: bool) -> None:
    node = Node(world, BOUNCES)
    records = node.sent(200)
    if not at_once:
        assert node.done() == []
    refused(records[100:], world)
    refused(records[100:], world)
    node.reported(records[:9])
    why = "9 of 100 recipients in 24 hours bounced for good, 9 %, more than 8 %"
    assert node.done() == [("one", "suspended", why)]


@pytest.mark.parametrize("at_once", [True, False])
def test_tries_that_were_not_queued_are_no_new_recipients(world: World, at_once: bool) -> None:
    node = Node(world, {Cause.NEW_RECIPIENTS: Threshold(0, 10)})
    addresses = [f"many{one}@example.org" for one in range(10)]
    for _ in range(3):
        tries = [node.message(1, one) for one in addresses]
        node.take(map(accepted, tries))
        assert at_once or node.done() == []
        refused(tries, world)
        assert at_once or node.done() == []
    node.take([accepted(node.message(1, one)) for one in addresses])
    assert node.done() == []
    node.sent(1)
    why = "11 recipients in an hour to whom its account had not written before, more than 10"
    assert node.done() == [("one", "suspended", why)]


@pytest.mark.parametrize("at_once", [True, False])
def test_messages_that_are_refused_hide_no_burst(world: World, at_once: bool) -> None:
    node = Node(world, {Cause.NEW_RECIPIENTS: Threshold(0, 20)})
    addresses = [f"many{one}@example.org" for one in range(10)]
    known = node.sent(10)
    assert at_once or node.done() == []
    # Twice to each and some to those who are known, then one that stays, then all of the former are refused.
    tries = [node.message(1, one) for one in addresses * 2 + [one.recipients[0] for one in known]]
    node.take(map(accepted, tries))
    node.take([accepted(node.message(1, addresses[0]))])
    assert at_once or node.done() == []
    refused(tries, world)
    assert node.done() == []
    assert world.rows("SELECT sum(fresh), sum(recipients) FROM sender_counts") == [(11, 11)]
    node.sent(10)
    assert [name for name, _, _ in node.done()] == ["one"]
