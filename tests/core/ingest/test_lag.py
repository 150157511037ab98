"""Whoever reads right after something was sent waits until the store has it, and no longer than that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest
from sqlalchemy import Connection

from gatepost_core.spool import HEAD_SIZE, beyond, ends
from gatepost_core.store.ingest import lag
from tests.core.ingest.world import RECORD, World, accepted, fill


@pytest.fixture
def connection(world: World) -> Iterator[Connection]:
    with world.backend.journal() as connection:
        yield connection


def test_the_store_says_how_far_it_is(world: World, connection: Connection) -> None:
    fill(world, range(5))
    world.take()
    fill(world, range(5, 8))
    until = ends(world.folder)
    taken = lag.taken(connection, until)
    assert not lag.reaches(taken, until)
    assert beyond(world.folder, until, taken)["milter"].entries == 3
    world.restart_writers()
    fill(world, range(8, 10))
    world.take()
    assert lag.reaches(lag.taken(connection, until), until)
    later = ends(world.folder)
    assert lag.reaches(lag.taken(connection, later), later)


def test_a_segment_that_nothing_was_written_to_is_not_waited_for(
    world: World, connection: Connection
) -> None:
    world.write(accepted(RECORD))
    world.take()
    world.restart_writers()
    world.write()
    until = ends(world.folder)
    assert sorted(until["milter"].values())[0] == HEAD_SIZE
    assert lag.reaches(lag.taken(connection, until), until)


def test_what_was_torn_at_the_end_of_a_segment_is_not_waited_for(
    world: World, connection: Connection
) -> None:
    fill(world, range(5))
    world.restart_writers()
    (path,) = (world.folder / "milter").glob("*.segment")
    (end,) = ends(world.folder)["milter"].values()
    with path.open("r+b") as file:
        file.seek(end)
        file.write(b"torn")
    ingester = world.ingester()
    batches = world.batches(ingester)
    ingester.take(batches)
    last = [(stream, replace(batch, entries=[], finished=True, fault="")) for stream, batch in batches]
    until = ends(world.folder)
    assert not lag.reaches(lag.taken(connection, until), until)
    ingester.take(last)  # as gatepost-events does once it has set the rest aside
    ingester.close()
    taken = lag.taken(connection, until)
    assert lag.reaches(taken, until)
    assert beyond(world.folder, until, taken) == {}


def test_it_is_waited_for_what_was_there_when_it_was_asked_for(world: World, connection: Connection) -> None:
    fill(world, range(5))
    until = ends(world.folder)
    looks: list[float] = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            world.take()
        fill(world, range(100 * len(looks), 100 * len(looks) + 3))  # mail flows on

    found = lag.waited(connection, until, 1000, sleep=sleep)
    assert lag.reaches(found, until)
    assert len(looks) == 3


def test_nobody_waits_for_longer_than_they_have_patience(world: World, connection: Connection) -> None:
    fill(world, range(5))
    until = ends(world.folder)
    ticks = count()
    found = lag.waited(connection, until, 5, clock=lambda: float(next(ticks)), sleep=lambda _: None)
    assert not lag.reaches(found, until)
    assert next(ticks) < 10
