"""What is in the spool is in the journal once: after crashes, restored databases, and in any order."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gatepost_core.domain import ids, spooled
from gatepost_core.spool import Batch, Entry
from gatepost_core.store import StoreUnavailable, messages
from gatepost_core.store.sqlite.engine import open_engine
from tests.core.ingest.world import NOON, RECORD, World, accepted, event, fill, numbered, used

ROOT = Path(__file__).parents[3]


def test_a_record_comes_out_of_the_journal_as_it_went_into_the_spool(world: World) -> None:
    world.write(accepted(RECORD))
    (taken, _) = world.take()
    assert taken.messages == 1
    engine = open_engine(world.settings.journal, reading=True)
    with engine.connect() as connection:
        assert messages.get(connection, RECORD.id) == RECORD
    engine.dispose()


def test_a_message_is_found_by_its_recipients_tags_and_author(world: World) -> None:
    world.write(
        accepted(replace(RECORD, recipients=("Anna@One.example.net", "anna@one.example.net", "root")))
    )
    world.take()
    assert world.rows("SELECT address, domain FROM recipients ORDER BY address") == [
        ("anna@one.example.net", "one.example.net"),
        ("root", ""),
    ]
    assert world.rows("SELECT tag FROM tags ORDER BY tag") == [("a",), ("ü",)]
    assert world.rows("SELECT from_address FROM messages") == [("shop@example.test",)]


def test_nothing_is_taken_twice_however_often_it_is_read(world: World) -> None:
    records = fill(world, range(250))
    world.write(*[event("delivered", record) for record in records])
    world.take()
    before = {kind: world.counted(kind) for kind in ("credential", "tag", "domain")}
    ingester = world.ingester()
    # As if no position had ever been written.
    again = read_from_the_beginning(world)
    taken = ingester.take(again)
    ingester.close()
    assert (taken.messages, taken.events) == (0, 0)
    assert world.count("messages") == 250
    assert world.count("events") == 500
    assert {kind: world.counted(kind) for kind in before} == before
    assert before["credential"] == {"": (250, 500)}
    assert before["domain"] == {"one.example.net": (250, 250), "two.example.net": (250, 250)}
    assert before["tag"] == {"a": (250, 500), "ü": (250, 500)}


def read_from_the_beginning(world: World) -> list[tuple[str, Batch]]:
    ingester = world.ingester("another")
    batches = world.batches(ingester, 10_000)
    ingester.close()
    return batches


def test_ten_restored_backups_neither_double_nor_lose(world: World) -> None:
    for cycle in range(10):
        world.copy("backup.db")
        records = fill(world, range(cycle * 50, cycle * 50 + 50))
        world.write(*[event("delivered", record) for record in records])
        world.take()
        if cycle % 3 == 0:
            world.restart_writers()
        world.restore("backup.db")
    world.take()
    assert world.count("messages") == 500
    assert world.counted("credential") == {"": (500, 1000)}
    assert world.counted("credential", "delivered") == {"": (500, 500)}


def test_a_restored_store_numbers_events_beyond_all_that_a_follower_has_seen(world: World) -> None:
    fill(world, range(10))
    world.copy("backup.db")
    world.take()
    seen = world.rows("SELECT max(sequence) FROM events")[0][0]
    world.restore("backup.db")
    world.now += timedelta(minutes=1)
    world.take()
    assert world.rows("SELECT min(sequence) FROM events")[0][0] > seen


_TAKING = """
import sys
from pathlib import Path
from tests.core.ingest.world import World
from gatepost_core.settings import StoreSettings
world = World(Path(sys.argv[1]), StoreSettings(url=f"sqlite:///{sys.argv[1]}/directory.db"))
ingester = world.ingester()
while True:
    print(ingester.take(world.batches(ingester, 7)).messages, flush=True)
"""


def test_a_kill_at_any_moment_leaves_each_message_once(world: World) -> None:
    fill(world, range(600))
    for number in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", _TAKING, str(world.folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for _ in range(number % 4 + 1):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        process.stdout.close()
    world.take()
    assert world.count("messages") == world.count("events") == 600
    assert world.counted("credential") == {"": (600, 1200)}


def test_a_journal_that_was_away_misses_nothing(world: World) -> None:
    fill(world, range(5))
    ingester = world.ingester()
    ingester.take(world.batches(ingester))
    fill(world, range(5, 10))
    batches = world.batches(ingester)
    away = world.journal.rename(world.folder / "away.db")
    with pytest.raises(StoreUnavailable, match=r"journal\.db"):
        ingester.take(batches)
    assert not world.journal.exists()
    away.rename(world.journal)
    ingester.take(batches)
    ingester.close()
    assert world.count("messages") == 10
    assert world.counted("credential") == {"": (10, 20)}


def test_an_event_that_is_read_before_its_message_waits_for_it(world: World) -> None:
    """A message and what becomes of it are in different streams, and nobody says which is read first."""
    world.write(event("delivered", RECORD))
    (first, _) = world.take()
    assert (first.events, first.pending) == (0, 1)
    world.now += timedelta(hours=23)
    world.write(accepted(RECORD))
    second = world.take()[0]
    assert (second.messages, second.events, second.moved) == (1, 1, 1)
    assert world.count("pending_events") == 0
    assert world.rows("SELECT type, credential_id, account_id FROM events ORDER BY sequence") == [
        ("accepted", 7, 3),
        ("delivered", 7, 3),
    ]


def test_in_one_round_messages_go_before_events_whatever_their_streams(world: World) -> None:
    world.write(event("delivered", RECORD))
    world.write(accepted(RECORD))
    taken = world.take()[0]
    assert (taken.messages, taken.events, taken.pending) == (1, 1, 0)


def test_an_event_whose_message_never_comes_goes_after_a_day(world: World) -> None:
    world.write(event("delivered", RECORD))
    world.take()
    world.now += timedelta(hours=24)
    assert world.take()[0].expired == 0
    world.now += timedelta(seconds=1)
    assert world.take()[0].expired == 1
    assert world.count("pending_events") == 0
    world.write(accepted(RECORD))
    assert world.take()[0].moved == 0


@pytest.mark.parametrize(
    ("strange", "told"),
    [
        (Entry(ids.to_bytes(ids.new(1)), 9, spooled.ACCEPTED, b"[]"), "version 9 and kind 1, which this"),
        (Entry(ids.to_bytes(ids.new(1)), spooled.VERSION, 99, b"[]"), "version 1 and kind 99, which this"),
        (Entry(ids.to_bytes(ids.new(1)), spooled.VERSION, spooled.ACCEPTED, b"{"), "Expecting"),
        (Entry(ids.to_bytes(ids.new(1)), spooled.VERSION, spooled.EVENT, b"[" * 100_000), "nested too deep"),
    ],
)
def test_what_cannot_be_read_stops_its_segment_is_told_and_is_never_skipped(
    world: World, strange: Entry, told: str
) -> None:
    before, after, other = numbered(1), numbered(2), numbered(3)
    world.write(accepted(before), strange, accepted(after), stream="milter")
    world.restart_writers()
    world.write(accepted(other), used(7, NOON))
    for taken in world.take():
        ((stopped, why),) = taken.stopped.items()
        assert stopped[0] == "milter"
        assert told in why
        assert why.startswith("at byte ")
    assert world.rows("SELECT id FROM messages ORDER BY id") == [(before.id,), (other.id,)]
    world.restart_writers()
    world.take()
    ingester = world.ingester()
    finished = {stream: len(segments) for stream, segments in ingester.finished().items()}
    assert finished == {"milter": 1, "sasl": 1}  # nobody retires what was not taken
    ingester.close()


def test_segments_that_are_gone_are_remembered_for_backups_that_have_them(world: World) -> None:
    fill(world, range(3))
    world.restart_writers()
    world.take()
    ingester = world.ingester()
    (segment,) = ingester.finished()["milter"]
    ingester.forget("milter", [segment])
    assert ingester.finished() == {}
    assert segment in ingester.positions()["milter"]
    world.now += timedelta(days=401)
    ingester.forget("milter", [])
    assert ingester.positions() == {}
    ingester.close()


def last_use(world: World) -> dict[int, tuple[str, str]]:
    rows = world.rows("SELECT credential_id, last_used_at, last_used_ip FROM credential_usage")
    return {number: (at[11:19], ip) for number, at, ip in rows}


def test_of_logins_the_newest_counts_in_whatever_order_they_are_read(world: World) -> None:
    def at(minute: int) -> datetime:
        return NOON + timedelta(minutes=minute)

    world.write(used(7, at(5), "192.0.2.5"), used(7, at(3)), used(8, at(1)), stream="sasl")
    world.take()
    assert last_use(world) == {7: ("12:05:00", "192.0.2.5"), 8: ("12:01:00", "192.0.2.1")}
    world.write(used(7, at(4)), used(8, at(2), "192.0.2.8"), stream="sasl")
    world.take()
    assert last_use(world) == {7: ("12:05:00", "192.0.2.5"), 8: ("12:02:00", "192.0.2.8")}


def states(world: World) -> tuple[str, dict[str, str]]:
    ((status,),) = world.rows("SELECT status FROM messages")
    return status, dict(world.rows("SELECT address, state FROM recipients"))


def test_what_became_of_recipients_and_message_follows_the_newest_events(world: World) -> None:
    anna, ben = "anna@one.example.net", "ben@two.example.net"
    later, last = NOON + timedelta(minutes=1), NOON + timedelta(minutes=2)
    world.write(accepted(RECORD), event("delivered", RECORD, anna))
    world.take()
    assert states(world) == ("accepted", {anna: "delivered", ben: "accepted"})
    world.write(event("failed", RECORD, "Ben@Two.example.net", last))
    world.take()
    world.write(event("deferred", RECORD, ben, later))  # read late: it was before
    world.take()
    assert states(world) == ("failed", {anna: "delivered", ben: "failed"})


def test_an_event_of_a_whole_message_changes_all_its_recipients(world: World) -> None:
    world.write(accepted(RECORD), event("held", RECORD, ""), event("clicked", RECORD))
    world.take()
    assert states(world) == ("held", {"anna@one.example.net": "held", "ben@two.example.net": "held"})


def test_a_customer_with_many_tags_fills_no_more_than_its_share_of_the_counts(world: World) -> None:
    """Nothing is miscounted for it: the rest has one number of its own."""
    for number in range(50):
        tags = tuple(f"tag{number * 10 + one}" for one in range(10))
        world.write(accepted(numbered(number, tags=tags, recipients=(f"a@d{number}.example.net",))))
        if number % 20 == 0:
            world.take()  # by an ingester that knows of earlier ones from the store alone
    world.write(accepted(numbered(60, credential_id=8, tags=("tag499",))))
    world.take()
    counts = world.rows(
        "SELECT credential_id, count(*), sum(count) FROM rollups WHERE kind = 'tag' GROUP BY 1"
    )
    assert counts == [(7, 201, 500), (8, 1, 1)]
    assert world.counted("tag")[""] == (300, 300)


def test_nodes_keep_their_positions_and_numbers_apart(world: World) -> None:
    fill(world, range(2))
    world.take()
    other = world.ingester("another")
    assert other.positions() == {}
    other.take([])
    other.close()
    assert sorted(world.rows("SELECT name FROM nodes")) == [("another",), ("node",)]


def test_a_message_to_very_many_has_a_row_for_each_and_few_counts(world: World) -> None:
    many = tuple(f"r{number}@d{number}.example.net" for number in range(20_000))
    world.write(accepted(replace(RECORD, recipients=many)))
    world.take()
    assert world.count("recipients") == 20_000
    assert world.rows("SELECT count(*) FROM rollups WHERE kind = 'domain'") == [(201,)]


_KNOWS = {
    "sasl": {"used"},
    "tracker": {"clicked", "opened", "unsubscribed"},
    "bounces": {"bounced", "response", "complaint", "deferred", "delivered", "failed"},
    "milter": {"accepted", "held", "limit", "refused", "suppressed"},
}
_TYPES = sorted(set().union(*_KNOWS.values()) - {"accepted", "used"})


@pytest.mark.parametrize("stream", [*_KNOWS, "another"])
def test_a_daemon_that_was_taken_over_records_nothing_that_another_would_know(
    world: World, stream: str
) -> None:
    """Its folder is all that it may write to. What it claims there is told, and what it knows goes on."""
    known, claimed = numbered(1), numbered(2)
    world.write(accepted(known))
    world.take()
    lies = [event("invented", known), event("accepted", known), event("x\ny", known)]
    everything = [accepted(claimed), used(7, NOON), *[event(type_, known) for type_ in _TYPES], *lies]
    world.write(*everything, stream=stream)
    taken = world.take()[0]
    knows = _KNOWS.get(stream, set())
    found = {type_ for (type_,) in world.rows("SELECT type FROM events")}
    assert found == {"accepted"} | (knows - {"used"})
    assert world.count("messages") == (2 if "accepted" in knows else 1)
    assert bool(last_use(world)) == ("used" in knows)
    assert world.count("pending_events") == 0
    assert not taken.stopped
    assert sum(taken.refused.values()) == len(everything) - len(knows)
    assert all(name == stream and "\n" not in what for name, what in taken.refused)
    assert not world.take()[0].refused  # the position is behind it
