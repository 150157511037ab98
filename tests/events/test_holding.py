"""What is asked for of held messages their own node carries out: once, or later."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from gatepost_core.domain import StoreError, StoreUnavailable
from gatepost_core.serving.asking import NoAnswer
from gatepost_core.store.holding.held import held
from gatepost_events.holding.verbs import Answer, Order, Result, Verb
from tests.core.ingest.world import accepted, numbered
from tests.events.hold_node import NEWER, Node


def test_an_order_is_carried_out_once_by_the_message_s_own_node(node: Node) -> None:
    record = node.held()
    node.ask(record)
    other = node.of("other")
    assert other.step() == []
    other.close()
    assert [one.state for one in node.releasing.step()] == ["done"]
    assert node.releasing.step() == []
    assert node.asked == [Order(Verb.RELEASE, record.queue_id)]
    assert node.found(record) == ("done", "")
    with node.world.backend.journal() as connection:
        assert list(held(connection, 10)) == []  # known also where no mail log is read


def test_what_is_not_held_cannot_be_released(node: Node) -> None:
    record = numbered(1)
    node.world.write(accepted(record))
    node.world.take()
    with pytest.raises(StoreError, match="is not held; its status is accepted"):
        node.ask(record)


def test_what_cannot_be_done_is_tried_again_and_hinders_no_other_order(node: Node) -> None:
    first, second = node.held(1), node.held(2)
    node.ask(first)
    node.ask(second)
    node.answers = [NoAnswer("nobody listens")]
    assert [one.state for one in node.releasing.step()] == [None, "done"]
    assert node.found(first) == ("open", "nobody listens")
    assert node.releasing.step() == []
    node.world.now += timedelta(seconds=6)
    node.answers = [Answer(Result.FAILED, "postsuper ended with status 1")]
    node.releasing.step()
    assert node.found(first) == ("open", "postsuper ended with status 1")


@pytest.mark.parametrize(("sent", "state"), [(True, ("done", "")), (False, ("gone", "it is in no queue"))])
def test_what_left_the_hold_queue_was_done_by_us_only_if_the_helper_may_have_heard_of_it(
    node: Node, sent: bool, state: tuple[str, str]
) -> None:
    record = node.held()
    node.ask(record, "drop")
    node.answers = [NoAnswer("no answer in time", sent=sent), Answer(Result.ABSENT, "it is in no queue")]
    node.releasing.step()
    node.world.now += timedelta(seconds=6)
    node.releasing.step()
    assert node.found(record) == state


@pytest.mark.parametrize(
    ("broken", "note"),
    [
        ("username", "rules that this release does not know: moods"),
        ("verb", "'bounce' is not a valid Verb"),
    ],
)
def test_an_order_that_cannot_be_judged_hinders_no_other(node: Node, broken: str, note: str) -> None:
    first, second = node.held(1), node.held(2)
    node.ask(first)
    node.ask(second)
    with closing(sqlite3.connect(node.world.journal)) as other, other:
        if broken == "verb":
            other.execute("UPDATE hold_orders SET verb = 'bounce' WHERE message_id = ?", (first.id,))
        else:
            other.execute("UPDATE messages SET username = ? WHERE id = ?", (NEWER, first.id))
    node.releasing.step()
    assert (node.found(first), node.found(second)) == (("open", note), ("done", ""))


def test_what_is_not_in_the_hold_queue_any_more_is_told_so(node: Node) -> None:
    record = node.held()
    node.ask(record)
    node.answers = [Answer(Result.ABSENT, "it is in the deferred queue")]
    node.releasing.step()
    assert node.found(record) == ("gone", "it is in the deferred queue")


def test_a_journal_that_cannot_be_read_is_a_fault_that_passes(node: Node) -> None:
    record = node.held()
    node.ask(record)
    with closing(sqlite3.connect(node.world.journal)) as other:
        other.execute("ALTER TABLE hold_orders RENAME TO away")
        with pytest.raises(StoreUnavailable):
            node.releasing.step()
        other.execute("ALTER TABLE away RENAME TO hold_orders")
    assert [one.state for one in node.releasing.step()] == ["done"]
