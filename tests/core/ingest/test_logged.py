"""What the mail log tells, in the store: events of the right message, once, with how far the log was read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from gatepost_core.domain import Mode
from gatepost_core.domain.outcomes import Logged, Told
from tests.core.ingest.world import NOON, World, accepted, event, milliseconds, numbered


def told(record: Any, type_: str = "delivered", recipient: str = "anna@one.example.net", **more: Any) -> Told:
    at = milliseconds(NOON + timedelta(seconds=more.pop("after", 1))) * 1000
    line = more.pop("line", f"{type_} {recipient} {at}")
    return Told(record.queue_id, type_, recipient, at, {"source": "log", **more}, line)


def take(world: World, *told: Told, position: str = "file 1", **more: Any) -> None:
    ingester = world.ingester()
    ingester.take(world.batches(ingester), Logged(position, told, **more))
    ingester.close()


def told_events(world: World) -> list[tuple[str, str]]:
    query = "SELECT type, recipient FROM events WHERE type != 'accepted' ORDER BY id"
    return [tuple(row) for row in world.rows(query)]


def status(world: World) -> list[str]:
    return [row[0] for row in world.rows("SELECT status FROM messages ORDER BY id")]


def states(world: World) -> dict[str, str]:
    return dict(world.rows("SELECT address, state FROM recipients"))


def test_a_delivery_is_an_event_of_the_message_with_that_queue_id(world: World) -> None:
    record, other = numbered(1), numbered(2, recipients=("other@example.net",))
    world.write(accepted(record), accepted(other))
    take(world, told(record, reply="250 Ok"))
    assert told_events(world) == [("delivered", "anna@one.example.net")]
    assert world.rows("SELECT message_id FROM events WHERE type = 'delivered'") == [(record.id,)]
    assert states(world)["anna@one.example.net"] == "delivered"
    assert world.counted("domain", "delivered") == {"one.example.net": (1, 1)}


def test_read_again_it_changes_nothing(world: World) -> None:
    record = numbered(1)
    world.write(accepted(record))
    for _ in range(3):
        take(world, told(record, "deferred"), told(record, "deferred", after=400), told(record, after=500))
    assert [type_ for type_, _ in told_events(world)] == ["deferred", "deferred", "delivered"]
    assert world.counted("credential", "deferred") == {"": (2, 2)}


def test_an_event_is_never_before_its_message_was_accepted(world: World) -> None:
    record = numbered(900)
    world.write(accepted(record))
    take(world, told(record, after=0))
    ((at, number),) = world.rows("SELECT time, id FROM events WHERE type = 'delivered'")
    assert at == "2026-11-27 12:00:00.901000"
    assert number > record.id


def test_queue_ids_of_others_are_nobodys(world: World) -> None:
    record = numbered(1)
    world.write(accepted(record))
    stranger, later = numbered(2), timedelta(days=40).total_seconds()
    take(world, told(stranger), told(record, after=later), queued={stranger.queue_id: 0})
    assert told_events(world) == []


def test_of_a_queue_id_that_came_again_the_newest_message_is_meant(world: World) -> None:
    first, second = numbered(1), numbered(2, queue_id="Q1")
    world.write(accepted(first), accepted(second))
    take(world, told(first))
    assert status(world) == ["accepted", "accepted"]
    assert world.rows("SELECT message_id FROM events WHERE type = 'delivered'") == [(second.id,)]


def test_queued_is_a_state_until_there_is_an_outcome(world: World) -> None:
    record = numbered(1)
    world.write(accepted(record))
    at = milliseconds(NOON) * 1000
    take(world, queued={record.queue_id: at})
    assert status(world) == ["queued"]
    assert set(states(world).values()) == {"queued"}
    take(world, told(record))
    assert status(world) == ["queued"]
    take(world, told(record, recipient="ben@two.example.net"))
    assert status(world) == ["delivered"]
    take(world, queued={record.queue_id: at})
    assert status(world) == ["delivered"]


def test_refused_by_another_milter_it_was_not_queued(world: World) -> None:
    record = numbered(1)
    world.write(accepted(record))
    take(world, told(record, "refused", ""))
    assert status(world) == ["not-queued"]


def test_a_message_without_a_trace_was_not_queued_once_it_is_old_enough(world: World) -> None:
    record = numbered(1)
    world.write(accepted(record))
    for after, expected in ((59, "accepted"), (61, "not-queued"), (90, "not-queued")):
        told_of = told(record, "refused", "", after=0, untraced=True, line="untraced")
        take(world, told_of, line_at=milliseconds(NOON + timedelta(seconds=after)) * 1000)
        assert status(world) == [expected]
    assert told_events(world) == [("refused", "")]


def test_the_position_and_what_is_remembered_go_with_the_events(world: World) -> None:
    ingester = world.ingester()
    assert ingester.logged() == ("", {}, None)
    world.write(accepted(numbered(1)))
    take(world, kept={"A": "1", "B": "2"}, lost=3)
    take(world, position="file 2", kept={"A": "3"}, gone=("B",))
    assert ingester.logged() == ("file 2", {"A": "3"}, milliseconds(NOON) / 1000 + 0.001)
    assert world.rows("SELECT lost, lost_at IS NOT NULL FROM log_positions") == [(3, 1)]
    ingester.close()


def test_a_node_remembers_its_own_log(world: World) -> None:
    other = world.ingester("other")
    take(world, kept={"A": "1"})
    assert other.logged() == ("", {}, None)
    other.close()


def test_events_of_the_spool_go_beside(world: World) -> None:
    record = numbered(1)
    world.write(accepted(record), event("bounced", record, "ben@two.example.net"))
    take(world, told(record))
    assert sorted(told_events(world)) == [
        ("bounced", "ben@two.example.net"),
        ("delivered", "anna@one.example.net"),
    ]
    assert status(world) == ["bounced"]


def test_records_of_which_the_log_tells_nothing_are_counted_as_lost_lines(world: World) -> None:
    def at(seconds: int) -> int:
        return milliseconds(NOON + timedelta(seconds=seconds)) * 1000

    take(world, line_at=at(0))
    gone, there, sandboxed = numbered(1), numbered(2), numbered(3, mode=Mode.SANDBOX)
    world.write(accepted(gone), accepted(there), accepted(sandboxed))
    take(world, told(there), line_at=at(2))
    for seconds, lost in ((100, 0), (130, 1), (300, 1), (600, 1)):
        take(world, line_at=at(seconds))
        assert world.rows("SELECT lost FROM log_positions") == [(lost,)], seconds
    assert status(world)[0] == "accepted"  # nothing is made up for it
