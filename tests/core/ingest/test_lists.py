"""Lists of messages and events: what is asked for, newest first, a page at a time, in bounded steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from sqlalchemy import Connection

from gatepost_core.domain import MessageRecord, ids
from gatepost_core.store import NotFound, StoreError, events, messages, paging
from gatepost_core.store.messages import Wanted
from tests.core.ingest.world import NOON, RECORD, World, accepted, event, fill, milliseconds, numbered


@pytest.fixture
def connection(world: World) -> Iterator[Connection]:
    with world.backend.journal() as connection:
        yield connection


@pytest.fixture
def some(world: World) -> World:
    """Messages of several senders to several readers, a second apart."""
    for number in range(60):
        at = NOON + timedelta(seconds=number)
        record = replace(
            RECORD,
            id=ids.new(milliseconds(at)),
            created_at=at,
            queue_id=f"Q{number:02}",
            username=f"gp{number % 2}",
            header_from=f"a{number % 3}@from{number % 2}.example.test",
            recipients=(f"r{number % 4}@to{number % 3}.example.net", "all@to_all.example.net"),
            subject=f"Order {number} 100% sure_",
            tags=("odd",) if number % 2 else ("even", "ü"),
            account_id=number % 5,
            message_id=f"<{number}@example.test>",
        )
        world.write(accepted(record))
        if number % 10 == 0:
            world.write(event("failed", record, record.recipients[0]))
    world.take()
    return world


def every(_number: int) -> bool:
    return True


def none(_number: int) -> bool:
    return False


def _named(value: object) -> str:
    return getattr(value, "__name__", str(value))  # a function's text is another one in each process


def numbers(found: list[MessageRecord]) -> list[int]:
    return [int(record.queue_id[1:]) for record in found]


@pytest.mark.usefixtures("some")
@pytest.mark.parametrize(
    ("wanted", "meets"),
    [
        (Wanted(), every),
        (Wanted(credential="gp1"), lambda number: number % 2 == 1),
        (Wanted(sender="A1@From1.example.test"), lambda number: number % 6 == 1),
        (Wanted(sender="from1.example.test"), lambda number: number % 2 == 1),
        (Wanted(sender="@from1.example.test"), lambda number: number % 2 == 1),
        (Wanted(to="R2@to0.example.net"), lambda number: number % 12 == 6),
        (Wanted(to="to2.example.net"), lambda number: number % 3 == 2),
        (Wanted(to="to_all.example.net", credential="gp0"), lambda number: number % 2 == 0),
        (Wanted(to="toxall.example.net"), none),
        (Wanted(subject="ORDER 1"), lambda number: str(number)[0] == "1"),
        (Wanted(subject="100%"), every),
        (Wanted(subject="100_"), none),
        (Wanted(subject="sure%"), none),
        (Wanted(tag="ü"), lambda number: number % 2 == 0),
        (Wanted(tag="%"), none),
        (Wanted(status="failed"), lambda number: number % 10 == 0),
        (Wanted(status="accepted"), lambda number: number % 10 != 0),
        (Wanted(account_id=3), lambda number: number % 5 == 3),
        (Wanted(since=NOON + timedelta(seconds=10)), lambda number: number >= 10),
        (Wanted(until=NOON + timedelta(seconds=10)), lambda number: number < 10),
        (
            Wanted(credential="gp1", tag="odd", subject="order", since=NOON + timedelta(seconds=30)),
            lambda number: number % 2 == 1 and number >= 30,
        ),
        (Wanted(tag="odd", sender="' OR 1=1 --@x"), none),
    ],
    ids=_named,
)
def test_what_is_asked_for_comes_newest_first_in_pages_of_any_size(
    connection: Connection, wanted: Wanted, meets: object
) -> None:
    assert callable(meets)
    expected = [number for number in reversed(range(60)) if meets(number)]
    assert numbers(list(messages.each(connection, wanted, 1000))) == expected
    for size in (1, 7, 60):
        found: list[int] = []
        cursor = ""
        while True:
            page = messages.page(connection, wanted, size, cursor)
            assert len(page.items) <= size
            found += numbers(page.items)
            cursor = page.cursor
            if not cursor:
                break
        assert found == expected


def test_messages_that_come_meanwhile_move_no_page(some: World, connection: Connection) -> None:
    first = messages.page(connection, Wanted(), 5)
    late = NOON + timedelta(hours=1)
    some.write(accepted(replace(RECORD, id=ids.new(milliseconds(late)), queue_id="Q99")))
    some.take()
    second = messages.page(connection, Wanted(), 5, first.cursor)
    assert numbers(first.items + second.items) == list(range(59, 49, -1))


def test_a_search_without_an_index_gives_back_what_it_has_after_a_while(
    world: World, connection: Connection
) -> None:
    """It looks at one window of messages in that time here, and says where to go on."""
    fill(world, range(1000))
    world.take(2000)
    ticks = count()

    def clock() -> float:
        return float(next(ticks))

    page = messages.page(connection, Wanted(subject="none"), 10, patience=0.5, clock=clock)
    assert page.stopped
    assert page.items == []
    rest = world.rows("SELECT count(*) FROM messages WHERE id < ?", page.cursor)[0][0]
    assert rest == 1000 - paging._WINDOW_LEAST
    steps = 1
    while page.cursor:
        page = messages.page(
            connection,
            Wanted(subject="none"),
            10,
            page.cursor,
            patience=0.5,
            clock=clock,
        )
        steps += 1
    assert steps == 1000 // paging._WINDOW_LEAST + 1
    assert not page.stopped


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Wanted(credential="gpx"), "ix_messages_username"),
        (Wanted(sender="a@b.test"), "ix_messages_from_address"),
        (Wanted(to="a@b.test"), "ix_recipients_address"),
        (Wanted(to="b.test"), "ix_recipients_domain"),
        (Wanted(tag="t"), "tags"),
        (Wanted(status="failed"), "ix_messages_status"),
        (Wanted(account_id=3), "ix_messages_account_id"),
        (Wanted(since=NOON), "sqlite_autoindex_messages_1"),
    ],
    ids=str,
)
def test_what_has_an_index_is_looked_for_with_it(connection: Connection, wanted: Wanted, index: str) -> None:
    search = messages._search(wanted)
    query = paging._leading(search, "~", search.first).order_by(search.leading.id.desc()).limit(10)
    text = str(query.compile(connection.engine, compile_kwargs={"literal_binds": True}))
    steps = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
    assert len(steps) == 1, steps  # no sorting
    assert steps[0].startswith("SEARCH")
    assert index in steps[0]


def test_a_text_that_is_too_long_to_be_looked_for_is_refused(connection: Connection) -> None:
    with pytest.raises(StoreError, match="too long to be looked for; expected 200 characters"):
        messages.page(connection, Wanted(subject="x" * 201), 10)


@pytest.mark.usefixtures("some")
def test_a_message_is_found_by_each_of_its_names(connection: Connection) -> None:
    record = messages.page(connection, Wanted(), 1).items[0]
    for name in (record.id, record.queue_id, "<59@example.test>", "59@example.test"):
        assert messages.get(connection, name) == record
    with pytest.raises(NotFound, match="expected a message id, Postfix's queue id or a Message-ID"):
        messages.get(connection, "<%@example.test>")


def told(found: list[events.Event]) -> list[tuple[str, str]]:
    return [(one.type, one.message) for one in found]


def test_events_tell_of_their_messages(world: World, connection: Connection) -> None:
    world.write(accepted(RECORD), event("delivered", RECORD, at=NOON + timedelta(minutes=1)))
    world.take()
    newest, first = events.page(connection, events.Wanted(), 10).items
    assert (newest.type, newest.recipient, newest.detail) == (
        "delivered",
        RECORD.recipients[0].lower(),
        {"text": "told"},
    )
    assert (newest.credential, newest.tags, newest.metadata) == (
        RECORD.username,
        RECORD.tags,
        RECORD.metadata,
    )
    assert (newest.time, newest.node, newest.account_id) == (NOON + timedelta(minutes=1), "node", 3)
    assert (first.type, first.message) == ("accepted", RECORD.id)


def test_events_are_asked_for_by_message_type_and_time(world: World, connection: Connection) -> None:
    records = fill(world, range(40))
    for number, record in enumerate(records):
        world.write(
            event("delivered" if number % 2 else "failed", record, at=NOON + timedelta(hours=number + 1))
        )
    world.take()

    def found(**wanted: object) -> list[tuple[str, str]]:
        return told(list(events.each(connection, events.Wanted(**wanted), 1000)))  # type: ignore[arg-type]

    assert len(found()) == 80
    assert found(message="Q7") == [("delivered", records[7].id), ("accepted", records[7].id)]
    assert found(message=records[7].id, types=("delivered",)) == [("delivered", records[7].id)]
    assert found(types=("failed",)) == [("failed", record.id) for record in reversed(records[::2])]
    assert len(found(types=("failed", "delivered"))) == 40
    assert len(found(since=NOON + timedelta(hours=31))) == 10
    assert len(found(until=NOON + timedelta(hours=11), types=("failed", "delivered"))) == 10
    with pytest.raises(NotFound):
        found(message="nobody's")


def test_whoever_follows_gets_each_event_once_also_those_that_are_committed_late(
    world: World, connection: Connection
) -> None:
    fill(world, range(5))
    world.take()
    seen = events.newest(connection)
    # Of another node, and with ids of long ago: it was away, and has caught up.
    other = world.another()
    ingester = other.ingester("another")
    late = numbered(-1000)
    other.write(accepted(late))
    ingester.take(other.batches(ingester))
    more = fill(world, range(5, 10))
    world.take()
    followed: list[str] = []
    while True:
        found, seen = events.following(connection, seen, limit=2)
        if not found:
            break
        followed += [one.message for one in found]
    ingester.close()
    assert sorted(followed) == sorted([late.id, *[record.id for record in more]])
