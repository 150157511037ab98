"""What is asked for of held messages their own node carries out: once, or later."""

from __future__ import annotations

import sqlite3
from contextlib import closing, nullcontext
from datetime import timedelta

import pytest

from gatepost_core.domain import Mode, State, StoreError, StoreUnavailable
from gatepost_core.serving.asking import NoAnswer
from gatepost_core.store.holding import orders
from gatepost_core.store.holding.held import held
from gatepost_events.holding.verbs import Answer, Order, Result, Verb
from tests.core.ingest.test_settling import events, logged
from tests.core.ingest.world import accepted, numbered
from tests.events.hold_node import NEWER, Node


def test_an_order_is_carried_out_once_by_the_message_s_own_node(node: Node) -> None:
    record = node.held()
    node.ask(record)
    other = node.of("other")
    assert other.step() is None
    other.close()
    assert [one.state for one in node.step()] == ["done"]
    assert node.step() == []
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
    assert [one.state for one in node.step()] == [None, "done"]
    assert node.found(first) == ("open", "nobody listens")
    assert node.step() == []
    node.world.now += timedelta(seconds=6)
    node.answers = [Answer(Result.FAILED, "postsuper ended with status 1")]
    node.step()
    assert node.found(first) == ("open", "gatepost-hold was asked: postsuper ended with status 1")


@pytest.mark.parametrize(("sent", "state"), [(True, ("done", "")), (False, ("gone", "it is in no queue"))])
def test_what_left_the_hold_queue_was_done_by_us_only_if_the_helper_may_have_heard_of_it(
    node: Node, sent: bool, state: tuple[str, str]
) -> None:
    record = node.held()
    node.ask(record, "drop")
    node.answers = [NoAnswer("no answer in time", sent=sent), Answer(Result.ABSENT, "it is in no queue")]
    node.step()
    node.world.now += timedelta(seconds=6)
    node.step()
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
    node.step()
    assert (node.found(first), node.found(second)) == (("open", note), ("done", ""))


@pytest.mark.parametrize("how", ["killed", "failed"])
def test_what_was_carried_out_is_known_to_be_so_whatever_came_in_between(node: Node, how: str) -> None:
    record = node.held()
    node.ask(record, by="carol")

    def cut(order: Order) -> Answer:
        if order.verb is Verb.WHERE:
            return node.pinged
        if how == "failed":
            return Answer(Result.FAILED, "postqueue did not end within 30 s")
        raise KeyboardInterrupt  # the helper has done it, and the daemon is gone

    other = node.of("node", cut)
    with nullcontext() if how == "failed" else pytest.raises(KeyboardInterrupt):
        other.step()
    other.close()
    logged(node.world, record, "released", "", after=61)
    assert events(node.world)[-1] == ("released", "", {"source": "log", "by": "carol"})
    node.world.now += timedelta(seconds=6)
    node.answers = [Answer(Result.ABSENT, "it is in the active queue")]
    node.step()
    assert node.found(record) == ("done", "")


def test_of_what_was_put_off_it_is_known_who_released_it(node: Node) -> None:
    record = node.held()
    node.ask(record, by="carol")
    node.answers = [NoAnswer("nobody listens")]
    node.step()
    node.world.now += timedelta(seconds=30)
    node.step()
    logged(node.world, record, "released", "", after=62)
    assert events(node.world)[-1][2]["by"] == "carol"


@pytest.mark.parametrize("first", ["stays", "earlier"])
def test_what_others_released_is_not_put_down_to_whoever_had_asked(node: Node, first: str) -> None:
    record = node.held()
    if first == "stays":
        node.holds(state=State.DISABLED)
    node.ask(record, by="carol")
    node.step()
    node.world.now += timedelta(seconds=60)
    logged(node.world, record, "held", "", after=100, reason="by postsuper")
    logged(node.world, record, "released", "", after=110)
    assert "by" not in events(node.world)[-1][2]


def test_a_user_of_that_name_is_not_taken_for_the_message_itself(node: Node) -> None:
    record = node.held()
    node.holds(mode=Mode.HOLD)
    node.ask(record, by="schedule")
    node.step()
    assert node.found(record) == ("done", "")
    with node.world.backend.journal() as connection:
        assert orders.asked(connection, [record.id])[record.id].by == "user schedule"


def test_another_order_that_comes_meanwhile_is_the_one_that_counts(node: Node) -> None:
    record, other = node.held(1), node.held(2)
    node.ask(other, "drop")
    node.ask(record)
    node.releasing.step()  # has seen both
    node.world.now += timedelta(seconds=1)
    node.ask(record, "drop")
    node.step()
    assert node.asked == [Order(Verb.DROP, other.queue_id), Order(Verb.DROP, record.queue_id)]
    assert node.found(record) == ("done", "")


def test_what_is_judged_of_a_message_by_itself_is_not_said_of_what_somebody_asks_for_meanwhile(
    node: Node,
) -> None:
    other, record = node.scheduled(1), node.scheduled(2)
    node.holds(mode=Mode.HOLD)
    node.releasing.step()  # has seen both
    node.ask(record)
    node.releasing.step()
    assert (node.found(other)[0], node.found(record)) == ("stays", ("open", ""))
    node.step()
    assert node.found(record) == ("done", "")


def test_a_message_id_that_several_have_releases_none_of_them(node: Node) -> None:
    mine, other = node.held(1), node.held(2, username="gpother", account_id=4)
    with pytest.raises(StoreError, match=rf"held of them: {mine.id} \(gpx\), {other.id} \(gpother\); name"):
        node.ask("1@example.test")
    node.ask(mine)
    node.step()
    # Whose is left may have chosen it for that.
    with pytest.raises(StoreError, match=f"held of them: {other.id}"):
        node.ask("<1@example.test>")
    node.ask(other.queue_id, "drop")
    node.step()
    assert node.found(other) == ("done", "")


def test_a_message_id_finds_what_is_held_though_a_newer_message_has_it_too(node: Node) -> None:
    record, newer = node.held(1), numbered(2)
    node.world.write(accepted(newer))
    node.world.take()
    node.ask("1@example.test")
    node.step()
    assert node.found(record) == ("done", "")


def test_accounts_take_turns_and_what_somebody_asked_for_comes_first(node: Node) -> None:
    many = [node.scheduled(number) for number in range(1, 31)]
    other = [node.scheduled(number, account_id=4) for number in (40, 41)]
    byhand = [node.held(number) for number in (50, 51)]
    node.ask(byhand[0])
    node.ask(byhand[1], "drop")
    node.releasing.step()
    late = node.held(60)
    node.ask(late)
    node.step()
    asked = [one.queue_id for one in node.asked]
    assert asked[:2] == ["Q51", "Q50"]
    assert asked.index("Q60") < 11
    assert max(asked.index(one.queue_id) for one in other) < 7
    alone = [one.queue_id for one in many]
    assert [one for one in asked if one in alone] == alone
    assert len(asked) == 35


def test_nothing_is_done_while_the_helper_has_another_queue(node: Node) -> None:
    record = node.held()
    node.ask(record)
    node.pinged = Answer(Result.DONE, "/var/spool/postfix-2")
    node.answers = [Answer(Result.ABSENT, "it is in no queue")]
    (carried,) = node.step()
    assert (node.asked, carried.alone) == ([], False)
    assert node.found(record) == (
        "open",
        "gatepost-hold looks at the queue in /var/spool/postfix-2, not in /var/spool/postfix; see its option "
        "--config-directory, and postfix.queue_directory",
    )
    node.pinged, node.answers = Answer(Result.DONE, "/var/spool/postfix"), []
    node.world.now += timedelta(seconds=6)
    node.step()
    assert node.found(record) == ("done", "")


def test_what_is_not_in_the_hold_queue_any_more_is_told_so(node: Node) -> None:
    record = node.held()
    node.ask(record)
    node.answers = [Answer(Result.ABSENT, "it is in the deferred queue")]
    node.step()
    assert node.found(record) == ("gone", "it is in the deferred queue")


def test_a_journal_that_cannot_be_read_is_a_fault_that_passes(node: Node) -> None:
    record = node.held()
    node.ask(record)
    with closing(sqlite3.connect(node.world.journal)) as other:
        other.execute("ALTER TABLE hold_orders RENAME TO away")
        with pytest.raises(StoreUnavailable):
            node.releasing.step()
        other.execute("ALTER TABLE away RENAME TO hold_orders")
    assert [one.state for one in node.step()] == ["done"]
