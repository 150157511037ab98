"""Which messages are held, by what milter and mail log tell."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from gatepost_core.domain import MessageRecord, ids, spooled
from gatepost_core.spool import Entry
from gatepost_core.store.holding import orders
from gatepost_core.store.holding.held import held
from gatepost_core.store.ingest import retention
from tests.core.ingest.test_settling import events, logged, recipient, reported
from tests.core.ingest.world import NOON, World, accepted, milliseconds, numbered

BY_MILTER = "END-OF-MESSAGE from h[192.0.2.1]: milter triggers HOLD action; from=<a@b>"


def held_by_us(
    record: MessageRecord,
    reason: str = "mode hold",
    *,
    scheduled: bool = False,
    of: Sequence[str] = (),
    places: dict[str, str] | None = None,
) -> Entry:
    at = record.created_at
    detail: dict[str, Any] = {"source": "milter", "reason": reason}
    if of:  # as its field Sender has it
        detail["header_sender"] = list(of)
    if places:
        detail["places"] = places
    if scheduled:  # until then
        detail["release_at"] = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    content = spooled.event("held", record.id, "", at, detail)
    return Entry(ids.to_bytes(ids.new(milliseconds(at))), spooled.VERSION, spooled.EVENT, content)


def listed(world: World, **asked: Any) -> list[tuple[str, str]]:
    with world.backend.journal() as connection:
        return [(one.record.queue_id, one.reason) for one in held(connection, 100, **asked)]


@pytest.fixture
def ours(world: World) -> MessageRecord:
    record = numbered(1, recipients=("anna@one.example.net",))
    world.write(accepted(record), held_by_us(record))
    world.take()
    return record


def test_what_our_milter_had_held_is_told_once_with_its_reason(world: World, ours: MessageRecord) -> None:
    logged(world, ours, "held", "", reason=BY_MILTER)
    assert events(world) == [("held", "", {"source": "milter", "reason": "mode hold"})]
    assert recipient(world)[0] == "held"
    assert listed(world) == [("Q1", "mode hold")]


def test_the_log_and_the_record_in_one_transaction_tell_it_once(world: World) -> None:
    record = numbered(1, recipients=("anna@one.example.net",))
    world.write(accepted(record), held_by_us(record))
    logged(world, record, "held", "", reason=BY_MILTER)
    assert [detail["source"] for _, _, detail in events(world)] == ["milter"]


def test_what_somebody_else_had_held_is_told_by_the_log(world: World) -> None:
    first, second = numbered(1), numbered(2)
    world.write(accepted(first), accepted(second))
    world.take()
    logged(world, first, "held", "", reason=BY_MILTER)
    logged(world, second, "held", "", reason="by postsuper")
    assert listed(world) == [("Q2", "by postsuper"), ("Q1", BY_MILTER)]
    assert listed(world, credential=first.username) == listed(world)
    assert listed(world, credential="gpother") == []


@pytest.mark.parametrize(
    ("type_", "address"),
    [("released", ""), ("failed", ""), ("refused", ""), ("delivered", "anna@one.example.net")],
)
def test_a_message_is_held_until_something_else_becomes_of_it(
    world: World, ours: MessageRecord, type_: str, address: str
) -> None:
    logged(world, ours, type_, address, after=3)
    assert listed(world) == []
    logged(world, ours, "held", "", after=5, reason="by postsuper")
    assert listed(world) == [("Q1", "by postsuper")]


def test_what_was_before_it_was_held_does_not_end_that(world: World, ours: MessageRecord) -> None:
    logged(world, ours, "deferred", "anna@one.example.net", after=2)
    logged(world, ours, "held", "", after=9, reason="by postsuper")
    logged(world, ours, "deferred", "anna@one.example.net", after=7)
    assert listed(world) == [("Q1", "by postsuper")]


@pytest.mark.parametrize("type_", ["delivered", "deferred", "failed", "bounced"])
def test_what_a_report_tells_of_a_recipient_does_not_end_it(
    world: World, ours: MessageRecord, type_: str
) -> None:
    reported(world, ours, type_, "anna@one.example.net")
    assert [one for one, *_ in events(world)] == ["held", type_]
    assert listed(world) == [("Q1", "mode hold")]
    assert recipient(world)[0] == "held"  # so he is judged when it is released
    logged(world, ours, "released", "", after=9)
    reported(world, ours, "bounced", "anna@one.example.net", after=10)
    assert recipient(world)[0] == "bounced"


def test_what_is_held_is_kept_however_old_it_is_and_let_go_once_it_has_left(world: World) -> None:
    records = [numbered(number) for number in range(1, 6)]
    for number, record in enumerate(records):
        world.write(accepted(record), *([held_by_us(record)] if number != 2 else []))
    world.take()
    due = NOON + timedelta(days=3)
    with world.backend.journal(write=True) as connection:
        orders.ask(connection, records[0].id, "release", "root", NOON)
    with world.backend.transactions() as begin:
        assert retention.old(begin, retention.Kept(1, {}), due) == 1
        (step,) = retention.prune(begin, retention.Kept(1, {}), due, 1)
        assert step.messages == 1
        assert listed(world) == [(f"Q{number}", "mode hold") for number in (5, 4, 2, 1)]
        assert world.count("hold_orders") == 1
        for record in records:
            logged(world, record, "released", "", after=3)
        steps = list(retention.prune(begin, retention.Kept(1, {}), due, 1))
    assert steps[-1].messages == 4
    assert [world.count(table) for table in ("holdings", "hold_orders", "messages")] == [0, 0, 0]


def test_a_recipient_who_was_taken_out_is_not_held(world: World) -> None:
    record = numbered(1)
    at = record.created_at
    content = spooled.event("suppressed", record.id, "anna@one.example.net", at, {"tag": "a"})
    number = ids.to_bytes(ids.new(milliseconds(at)))
    world.write(accepted(record), Entry(number, spooled.VERSION, spooled.EVENT, content), held_by_us(record))
    world.take()
    assert recipient(world)[0] == "suppressed"
    assert recipient(world, "ben@two.example.net")[0] == "held"
