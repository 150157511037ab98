"""Rounds over real files and a real journal: what they take, what they leave, what they set aside."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gatepost_core import spool
from gatepost_core.domain import StoreUnavailable, ids
from gatepost_core.spool import Entry, asides, ends, segment
from gatepost_core.store.sqlite.ingesting import Ingester
from gatepost_events.rounds import Round, Rounds
from tests.core.ingest.world import NOON, World, accepted, fill, numbered, used


@dataclass
class Node:
    """A node's rounds, by a clock that the test sets."""

    world: World
    ingester: Ingester
    seconds: float = 1000.0
    keep: float = 3600.0
    rounds: Rounds = field(init=False)

    def __post_init__(self) -> None:
        def now() -> float:
            return self.world.now.timestamp()

        self.rounds = Rounds(
            self.world.folder, self.ingester, keep=self.keep, most={}, clock=lambda: self.seconds, now=now
        )

    def take(self) -> list[Round]:
        """Go from round to round until nothing more is there."""
        done = [self.rounds()]
        while done[-1].entries or done[-1].more:
            done.append(self.rounds())
        return done

    def segments(self, stream: str = "milter") -> list[Path]:
        return [one.path for one in segment.segments(self.world.folder / stream)]


@pytest.fixture
def node(world: World) -> Iterator[Node]:
    node = Node(world, world.ingester())
    yield node
    node.ingester.close()


def test_what_is_there_is_taken_once_and_nothing_is_asked_of_the_store_when_nothing_came(node: Node) -> None:
    fill(node.world, range(2500))
    done = node.take()
    assert node.world.count("messages") == 2500
    assert done[0].more
    assert not done[-1].more
    assert node.rounds().taken is None
    fill(node.world, range(2500, 2510))
    assert node.rounds().entries == 10
    assert node.world.count("messages") == 2510


def test_a_flood_of_logins_holds_up_no_record(node: Node) -> None:
    for _ in range(10):
        node.world.write(*[used(1, NOON) for _ in range(1000)], stream="sasl")
        node.world.restart_writers()
    fill(node.world, range(10))
    assert node.rounds().more
    assert node.world.count("messages") == 10


def damaged(node: Node, what: str) -> Path:
    """Make three segments, of which the first has 20 records, and do something to it."""
    for start in (0, 20, 40):
        fill(node.world, range(start, start + 20))
        node.world.restart_writers()
    first = node.segments()[0]
    data = bytearray(first.read_bytes())
    if what == "foreign":
        data[:16] = b"#!/bin/sh\n" + bytes(6)
    elif what == "torn":
        whole = len(bytes(data).rstrip(b"\0"))
        data[whole - 10 : whole] = bytes(10)
    elif what == "flipped":
        data[len(bytes(data).rstrip(b"\0")) // 2] ^= 1
    first.write_bytes(data)
    return first


@pytest.mark.parametrize(("what", "kept"), [("torn", 59), ("flipped", 49), ("foreign", 40)])
def test_whole_entries_are_taken_and_the_rest_is_set_aside_once(node: Node, what: str, kept: int) -> None:
    first = damaged(node, what)
    before = first.read_bytes()
    (told,) = [done.aside for done in node.take() if done.aside]
    (path,) = asides(node.world.folder / "milter")
    assert list(told) == [path]
    rest = path.read_bytes()
    assert rest
    assert rest.rstrip(b"\0") in before
    assert kept - 1 <= node.world.count("messages") <= kept + 1
    assert not any(done.aside for done in node.take())
    # The others are taken, and it is in nobody's way when room is made.
    node.world.now = NOON.replace(year=2027)
    node.rounds.retire()
    assert node.segments() == []
    assert asides(node.world.folder / "milter") == [path]


def test_what_was_set_aside_is_told_also_where_the_store_took_nothing_at_first(node: Node) -> None:
    first = damaged(node, "foreign")
    with closing(sqlite3.connect(node.world.journal)) as database, database:
        database.execute("ALTER TABLE messages RENAME TO elsewhere")
    with pytest.raises(StoreUnavailable):
        node.rounds()
    assert not first.exists()
    with closing(sqlite3.connect(node.world.journal)) as database, database:
        database.execute("ALTER TABLE elsewhere RENAME TO messages")
    assert list(node.rounds().aside) == asides(node.world.folder / "milter")


@pytest.mark.parametrize("what", ["link", "pipe", "folder", "hard link"])
def test_what_is_planted_in_a_segments_place_is_neither_followed_nor_waited_for(
    node: Node, what: str, tmp_path: Path
) -> None:
    """A stream's daemon may make what it likes there; the others are taken, and room is made for them."""
    fill(node.world, range(10))
    node.world.restart_writers()
    node.take()
    (path,) = node.segments()
    precious = tmp_path / "precious"
    precious.write_bytes(b"SQLite format 3\0" * 1000)
    for place in (path, path.with_name(f"{'0' * 32}.segment"), path.with_name(f"{'1' * 32}.new")):
        place.unlink(missing_ok=True)
        if what == "link":
            place.symlink_to(precious)
        elif what == "pipe":
            os.mkfifo(place)
        elif what == "folder":
            place.mkdir()
        else:
            place.hardlink_to(precious)
    fill(node.world, range(20, 30))
    node.world.restart_writers()
    node.take()
    assert node.world.count("messages") == 20
    node.world.now = NOON.replace(year=2027)
    node.rounds.retire()
    assert precious.read_bytes() == b"SQLite format 3\0" * 1000
    assert ends(node.world.folder)["milter"].keys() == set()


def test_a_link_in_the_place_of_what_is_set_aside_is_not_followed(node: Node, tmp_path: Path) -> None:
    first = damaged(node, "torn")
    precious = tmp_path / "precious"
    precious.write_bytes(b"untouched")
    first.with_suffix(".rest").symlink_to(precious)
    node.take()
    (path,) = asides(node.world.folder / "milter")
    assert not path.is_symlink()
    assert precious.read_bytes() == b"untouched"


def test_a_segment_that_cannot_be_set_aside_holds_up_no_other(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged(node, "flipped")

    def full(*_: object) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(spool, "set_aside", full)
        (why,) = {text for one in node.take() for text in one.stopped.values()}
        assert "cannot be set aside" in why
        assert node.world.count("messages") > 40
    node.seconds += 61
    assert any(done.aside for done in node.take())
    assert node.rounds.stopped == 0


def foreign(node: Node, what: str) -> None:
    """Write what another release may write, after ten records; then ten more elsewhere."""
    fill(node.world, range(10))
    if what == "kind":
        node.world.write(Entry(ids.to_bytes(ids.new(1)), 1, 200, b"[]"))
    elif what == "version":
        node.world.write(accepted(numbered(500))._replace(version=2))
    node.world.write(accepted(numbered(501)))
    node.world.restart_writers()
    if what == "format":
        (path,) = node.segments()
        data = bytearray(path.read_bytes())
        head = bytearray(segment.head(bytes.fromhex(path.stem)))
        head[16] = segment.VERSION + 1
        head[60:] = segment.checksum(bytes(head[:60])).to_bytes(4, "little")
        data[: segment.HEAD_SIZE] = head
        path.write_bytes(data)
    fill(node.world, range(20, 30))
    node.world.restart_writers()


@pytest.mark.parametrize(("what", "kept"), [("kind", 20), ("version", 20), ("format", 10)])
def test_what_another_release_wrote_stops_its_segment_and_no_other_and_stays(
    node: Node, what: str, kept: int
) -> None:
    foreign(node, what)
    done = node.take()
    assert node.world.count("messages") == kept
    (why,) = {text for one in done for text in one.stopped.values()}
    assert "release" in why
    assert node.rounds.stopped == 1
    assert asides(node.world.folder / "milter") == []
    # It is not read with each round, and after a while again, in case that it can be.
    assert not node.rounds().stopped
    node.seconds += 61
    again = node.rounds()
    assert len(again.stopped) == (1 if what != "format" else 0)
    assert node.rounds.stopped == 1
    node.world.now = NOON.replace(year=2027)
    node.rounds.retire()
    assert len(node.segments()) == 1
    assert node.world.count("messages") == kept


def test_what_a_fault_of_this_machine_kept_from_being_read_is_taken_later(node: Node) -> None:
    fill(node.world, range(10))
    node.world.restart_writers()
    (path,) = node.segments()
    away = path.with_name("away")
    path.rename(away)
    path.mkdir()  # opens, and cannot be read
    (why,) = {text for one in node.take() for text in one.stopped.values()}
    assert "cannot be read" in why
    path.rmdir()
    away.rename(path)
    node.seconds += 61
    node.take()
    assert node.world.count("messages") == 10
    assert node.rounds.stopped == 0


def test_a_journal_that_was_put_back_gets_what_it_lacks_and_nothing_twice(node: Node) -> None:
    """Ten times: a backup of the databases, more mail, the backup put back while the daemon runs."""
    for turn in range(10):
        fill(node.world, range(turn * 20, turn * 20 + 10))
        node.take()
        node.world.copy("backup.db")
        fill(node.world, range(turn * 20 + 10, turn * 20 + 20))
        node.take()
        moved = node.world.journal.with_name("moved")
        moved.write_bytes((node.world.folder / "backup.db").read_bytes())
        for suffix in ("-wal", "-shm"):
            node.world.journal.with_name(node.world.journal.name + suffix).unlink(missing_ok=True)
        moved.replace(node.world.journal)
        fill(node.world, [1000 + turn])
        for _ in range(3):
            try:
                node.take()
            except Exception as error:  # noqa: BLE001 - told, and tried again, as the daemon does
                assert "was replaced" in str(error)  # noqa: PT017
    assert node.world.count("messages") == 210
    assert node.world.count("events") == 210


def test_segments_make_room_after_their_time_and_no_earlier(node: Node) -> None:
    fill(node.world, range(10))
    node.world.restart_writers()
    node.take()
    (path,) = node.segments()
    assert node.rounds.retire() == 0
    node.world.now = NOON.replace(year=2027)
    assert node.rounds.retire() == 1
    assert not path.exists()
    fill(node.world, range(10, 20))
    node.take()
    assert node.world.count("messages") == 20
