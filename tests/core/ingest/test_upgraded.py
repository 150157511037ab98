"""A failure of unknown class in the mail log, which a report tells later: whoever follows sees it again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gatepost_core.domain import MessageRecord
from gatepost_core.domain.limits.suspending import Cause, Threshold
from gatepost_core.domain.outcomes import Logged, Told

from . import test_suppressor as suppressor
from .test_suspender import DSN, Node
from .test_suspender import LOG as HARD
from .world import World, accepted, numbered

UNKNOWN = {**HARD, "class": "unknown", "reply": "554 no"}


def logged(world: World, *records: MessageRecord, detail: dict[str, Any] = UNKNOWN) -> None:
    """Have the log tell that messages failed for the first recipient of each."""
    at = int((world.now + timedelta(seconds=1)).timestamp() * 1_000_000)
    told = [Told(one.queue_id, "failed", one.recipients[0], at, detail, one.id) for one in records]
    world.hear(Logged("failed", told))


@pytest.mark.parametrize("followed", [True, False])
def test_it_suppresses_the_recipient_once(world: World, followed: bool) -> None:
    node = suppressor.Node(world)
    record = suppressor.single()
    assert node.take(accepted(record)) == ()
    logged(world, record)
    assert not followed or node.take() == ()
    (found,) = node.take(suppressor.told("bounced", record))
    assert (found.address, found.reason.value) == (suppressor.ANNA, "bounce")
    assert node.take(suppressor.told("bounced", record)) == ()
    node.crash()
    assert node.take() == ()
    node.follower.close()


def test_of_several_recipients_a_report_tells_no_class_that_suppresses(world: World) -> None:
    node = suppressor.Node(world)
    records = [numbered(1), numbered(2)]
    node.take(*map(accepted, records))
    logged(world, *records)
    assert node.take(*[suppressor.told("bounced", one) for one in records]) == ()
    node.follower.close()


@pytest.mark.parametrize("followed", [True, False])
def test_it_counts_for_suspension_once(world: World, followed: bool) -> None:
    node = Node(world, {Cause.BOUNCES: Threshold(4, 8)})
    records = node.sent(100)
    logged(world, *records[:9])
    assert not followed or node.done() == []
    node.reported(records[:9], "bounced", DSN)
    why = "9 of 100 recipients in 24 hours bounced for good, 9 %, more than 8 %"
    assert node.done() == [("one", "suspended", why)]
    node.reported(records[:9], "bounced", DSN)
    assert node.done() == []
    assert world.rows("SELECT sum(bounces) FROM sender_counts") == [(9,)]


def test_of_several_recipients_a_report_tells_no_class_that_counts(world: World) -> None:
    node = Node(world, {Cause.BOUNCES: Threshold(0, 1)})
    records = [node.message(1, f"a{one}@example.org", f"b{one}@example.org") for one in range(100)]
    node.take(map(accepted, records))
    logged(world, *records)
    node.reported(records, "bounced", DSN)
    assert node.done() == []
