"""One thing that happened is one event, however many ways it is told."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import pytest

from gatepost_core.domain import MessageRecord, ids, spooled
from gatepost_core.domain.outcomes import Logged, Told
from gatepost_core.spool import Entry
from gatepost_core.store.ingest import stats
from tests.core.ingest.world import NOON, World, accepted, milliseconds, numbered

ANNA, BEN = "anna@one.example.net", "ben@two.example.net"
ONE = ("Anna@One.example.net",)


def classed(detail: dict[str, Any]) -> dict[str, Any]:
    """Return a detail with its class, which is no name that Python would take."""
    kind = detail.pop("kind", None)
    return detail | {"class": kind} if kind else detail


def logged(
    world: World, record: MessageRecord, type_: str, recipient: str = ANNA, after: float = 1, **detail: Any
) -> None:
    at = milliseconds(NOON + timedelta(seconds=after)) * 1000
    detail = classed(detail)
    told = Told(
        record.queue_id,
        type_,
        recipient,
        at,
        {"source": "log", **detail},
        f"{type_} {recipient} {at} {detail}",
    )
    ingester = world.ingester()
    ingester.take(world.batches(ingester), Logged("file 1", (told,)))
    ingester.close()


def reported(
    world: World,
    record: MessageRecord,
    type_: str,
    recipient: str = ANNA,
    after: float = 5,
    node: str = "node",
    **detail: Any,
) -> None:
    at: datetime = NOON + timedelta(seconds=after)
    number = detail.pop("number", None) or ids.new(milliseconds(at))
    told = {"source": "dsn", "report": "r.eml", **classed(detail)}
    content = spooled.event(type_, record.id, recipient, at, told)
    world.write(Entry(ids.to_bytes(number), spooled.VERSION, spooled.EVENT, content), stream="bounces")
    with closing(world.ingester(node)) as ingester:
        ingester.take(world.batches(ingester))


def events(world: World) -> list[tuple[str, str, dict[str, Any]]]:
    rows = world.rows("SELECT type, recipient, detail FROM events WHERE type != 'accepted' ORDER BY id")
    return [(type_, recipient, json.loads(detail)) for type_, recipient, detail in rows]


def recipient(world: World, address: str = ANNA) -> tuple[str, str, str]:
    ((state, failure, sources),) = world.rows(
        "SELECT state, class, sources FROM recipients WHERE address = ?", address
    )
    return state, failure, sources


@pytest.fixture
def single(world: World) -> MessageRecord:
    record = numbered(1, recipients=ONE)
    world.write(accepted(record))
    return record


@pytest.fixture
def double(world: World) -> MessageRecord:
    record = numbered(1)
    world.write(accepted(record))
    return record


def test_a_report_of_a_failure_in_the_log_only_adds_its_text(world: World, double: MessageRecord) -> None:
    logged(world, double, "failed", kind="mailbox", reply="550 no")
    reported(world, double, "bounced", reply="smtp; 550 no such user", kind="mailbox")
    ((type_, _, detail),) = events(world)
    assert type_ == "failed"
    assert (detail["reply"], detail["report"], detail["report_reply"]) == (
        "550 no",
        "r.eml",
        "smtp; 550 no such user",
    )
    assert recipient(world) == ("failed", "mailbox", "log report")
    assert world.counted("credential", "bounced/mailbox") == {}


def test_a_report_that_comes_before_the_logs_line_is_the_same_failure(
    world: World, double: MessageRecord
) -> None:
    reported(world, double, "bounced", after=0.5, reply="550", kind="mailbox")
    logged(world, double, "failed", kind="mailbox")
    assert [type_ for type_, _, _ in events(world)] == ["bounced"]
    assert recipient(world) == ("bounced", "mailbox", "report log")


def test_both_at_once_are_one(world: World, double: MessageRecord) -> None:
    content = spooled.event(
        "bounced", double.id, ANNA, NOON + timedelta(seconds=2), {"source": "dsn", "report": "r.eml"}
    )
    world.write(
        Entry(ids.to_bytes(ids.new(milliseconds(NOON))), spooled.VERSION, spooled.EVENT, content),
        stream="bounces",
    )
    logged(world, double, "failed", kind="mailbox")
    assert len(events(world)) == 1


def test_a_failure_behind_the_next_hop_is_an_event_of_its_own(world: World, double: MessageRecord) -> None:
    logged(world, double, "delivered")
    logged(world, double, "delivered", BEN)
    reported(world, double, "bounced", kind="full")
    assert [type_ for type_, _, _ in events(world)] == ["delivered", "delivered", "bounced"]
    assert recipient(world) == ("bounced", "full", "log report")
    assert recipient(world, BEN) == ("delivered", "", "log")
    assert world.rows("SELECT status FROM messages") == [("bounced",)]
    assert world.counted("credential", "bounced/full") == {"": (1, 1)}


def test_a_report_is_matched_by_what_an_alias_led_to(world: World, double: MessageRecord) -> None:
    logged(world, double, "delivered", final_recipient="Inner@Host.example.net")
    reported(world, double, "bounced", "inner@host.example.net", kind="mailbox")
    type_, whom, detail = events(world)[-1]
    assert (type_, whom, detail["named"]) == ("bounced", ANNA, "inner@host.example.net")
    assert recipient(world)[0] == "bounced"
    assert recipient(world, BEN)[0] == "accepted"


def test_one_that_names_nobody_counts_for_the_only_recipient(world: World, single: MessageRecord) -> None:
    reported(world, single, "bounced", "", kind="mailbox")
    ((_, whom, detail),) = events(world)
    assert (whom, detail["attributed"]) == ("", ANNA)  # so nobody is suppressed for it
    assert recipient(world)[0] == "bounced"


@pytest.mark.parametrize("named", ["", "stranger@example.org"])
def test_of_several_recipients_it_counts_for_none(world: World, double: MessageRecord, named: str) -> None:
    reported(world, double, "bounced", named, kind="mailbox")
    ((_, whom, detail),) = events(world)
    assert whom == ""
    assert detail.get("named", "") == named
    assert {recipient(world, ANNA)[0], recipient(world, BEN)[0]} == {"accepted"}


def test_a_delay_behind_the_next_hop_leaves_a_delivery_as_it_is(world: World, single: MessageRecord) -> None:
    logged(world, single, "delivered")
    reported(world, single, "deferred")
    assert [type_ for type_, _, _ in events(world)] == ["delivered", "deferred"]
    assert recipient(world)[0] == "delivered"


def test_a_report_of_success_tells_nothing_new_of_a_delivery(world: World, single: MessageRecord) -> None:
    logged(world, single, "delivered")
    reported(world, single, "delivered")
    assert [type_ for type_, _, _ in events(world)] == ["delivered"]


def test_a_failure_of_unknown_class_is_known_better_once(world: World, single: MessageRecord) -> None:
    number = ids.new(milliseconds(NOON))
    for kind in ("unknown", "mailbox", "policy"):
        reported(world, single, "bounced", number=number, permanent=True, kind=kind)
    ((_, _, detail),) = events(world)
    assert (detail["class"], detail["permanent"]) == ("mailbox", True)
    assert recipient(world)[1] == "mailbox"


def test_of_an_alias_a_failure_stays_whatever_its_other_addresses_do(
    world: World, single: MessageRecord
) -> None:
    logged(world, single, "failed", final_recipient="a@x.test", kind="full")
    logged(world, single, "delivered", after=2, final_recipient="b@x.test")
    assert recipient(world)[0] == "failed"


def test_held_and_released_leave_those_alone_who_have_an_outcome(world: World, double: MessageRecord) -> None:
    logged(world, double, "delivered")
    logged(world, double, "held", "", after=2)
    assert (recipient(world)[0], recipient(world, BEN)[0]) == ("delivered", "held")
    logged(world, double, "released", "", after=3)
    assert (recipient(world)[0], recipient(world, BEN)[0]) == ("delivered", "queued")
    logged(world, double, "delivered", BEN, after=4)
    assert world.rows("SELECT status FROM messages") == [("delivered",)]


def test_a_copy_that_postfix_sends_elsewhere_is_no_outcome_of_the_recipient(
    world: World, single: MessageRecord
) -> None:
    logged(world, single, "failed", "archive@example.test", kind="full")
    assert events(world)[0][1] == "archive@example.test"
    assert recipient(world)[0] == "accepted"


def test_removed_from_the_queue_it_failed_for_those_without_an_outcome(
    world: World, double: MessageRecord
) -> None:
    logged(world, double, "delivered")
    logged(world, double, "failed", "", after=2, kind="unknown")
    assert (recipient(world)[0], recipient(world, BEN)[0]) == ("delivered", "failed")


def place(world: World) -> dict[int, int]:
    return dict(world.rows("SELECT node, sequence FROM events WHERE type = 'failed'"))


@pytest.mark.parametrize("other", [False, True])
def test_a_failure_whose_class_a_report_tells_counts_as_that_and_is_followed_once_more(
    world: World, single: MessageRecord, other: bool
) -> None:
    logged(world, single, "failed", kind="unknown", permanent=True)
    before = place(world)
    teller = world.another() if other else world
    reported(teller, single, "bounced", kind="mailbox", permanent=True, node="other" if other else "node")
    ((type_, _, detail),) = events(world)
    assert (type_, detail["class"], detail["upgraded"]) == ("failed", "mailbox", "report")
    assert recipient(world)[:2] == ("failed", "mailbox")
    ((node, number),) = place(world).items()
    assert number > before.get(node, 0)  # beyond where any follower can be
    assert (node in before) is not other
    for kind, key in zip(stats.BYS, ("", "a", "one.example.net"), strict=True):
        assert world.counted(kind, "failed/mailbox")[key] == (1, 1)
        assert world.counted(kind, "failed/unknown")[key] == (0, 0)
        with world.backend.journal() as connection:
            counts = stats.read(connection, stats.Wanted(kind))
        assert {(one.events["failed"], str(one.kinds)) for one in counts} == {
            (1, "{'failed': {'mailbox': 1}}")
        }
    teller.restart_writers()
