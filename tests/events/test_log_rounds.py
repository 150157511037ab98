"""Rounds that read the mail log beside the spool: what one commits, and what is read again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gatepost_core.domain import StoreUnavailable
from gatepost_core.domain.outcomes import Logged
from gatepost_core.store.sqlite.ingesting import Ingester
from gatepost_events.maillog.follower import Follower
from gatepost_events.rounds import Round, Rounds
from tests.core.ingest.world import World, accepted, numbered
from tests.events.maillog.world import NOW, active, outcome, removed


def queue_id(number: int) -> str:
    return f"4jbzB4{number // 1000 % 10}{number // 100 % 10}{number // 10 % 10}{number % 10}zJB9Y"


@dataclass
class Node:
    """A node with a spool, a store and a log; a message that is sent is in spool and log."""

    world: World
    log: Path
    ingester: Ingester = field(init=False)
    follower: Follower = field(init=False)
    rounds: Rounds = field(init=False)

    def __post_init__(self) -> None:
        self.log.touch()
        self.start()

    def start(self) -> None:
        """Begin anew with what store, spool and log have."""
        self.ingester = self.world.ingester()
        self.follower = Follower(str(self.log), ("postfix",), self.ingester, NOW.timestamp)
        self.rounds = Rounds(self.world.folder, self.ingester, keep=3600, most={}, log=self.follower)

    def accept(self, *numbers: int) -> None:
        records = [numbered(one, queue_id=queue_id(one), recipients=("bob@example.org",)) for one in numbers]
        for at in range(0, len(records), 500):
            self.world.write(*[accepted(record) for record in records[at : at + 500]])

    def tell(self, *lines: str) -> None:
        with self.log.open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    def deliver(self, *numbers: int) -> None:
        for one in map(queue_id, numbers):
            self.tell(active(one), outcome(number=one), removed(one))

    def take(self) -> list[Round]:
        done = [self.rounds()]
        while done[-1].entries or done[-1].more:
            done.append(self.rounds())
        return done

    def delivered(self) -> int:
        return int(self.world.rows("SELECT count(*) FROM events WHERE type = 'delivered'")[0][0])

    def close(self) -> None:
        self.follower.close()
        self.ingester.close()


@pytest.fixture
def node(world: World, tmp_path: Path) -> Iterator[Node]:
    (tmp_path / "log").mkdir()
    node = Node(world, tmp_path / "log" / "mail.log")
    yield node
    node.close()


def test_a_delivery_is_taken_with_the_record_that_it_is_about(node: Node) -> None:
    node.accept(1)
    node.deliver(1)
    assert node.rounds().entries == 1
    assert node.delivered() == 1
    assert node.rounds().taken is None


def test_the_log_waits_while_the_spool_has_more_records_than_a_round_takes(node: Node) -> None:
    node.accept(*range(2500))
    node.deliver(2499, 1700)
    node.take()
    assert node.delivered() == 2
    assert node.world.rows("SELECT lost FROM log_positions") == [(0,)]


def test_what_the_store_did_not_take_is_read_again(node: Node) -> None:
    node.accept(1)
    node.deliver(1)
    with closing(sqlite3.connect(node.world.journal, isolation_level=None)) as other:
        node.ingester._connected().execute("PRAGMA busy_timeout = 1")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable):
            node.rounds()
        other.execute("ROLLBACK")
    node.take()
    assert node.delivered() == 1


def test_read_anew_from_any_moment_each_is_told_once(node: Node) -> None:
    """As after a kill between any two commits: attempts go on being counted, too."""
    node.accept(*range(6))
    for one in map(queue_id, range(6)):
        late = outcome(number=one, status="deferred")
        for text in (active(one), late, active(one), outcome(number=one, second="58"), removed(one)):
            node.tell(text)
            node.take()
            node.close()
            node.start()
    query = "SELECT type, json_extract(detail, '$.attempt'), count(*) FROM events WHERE type != 'accepted'"
    rows = node.world.rows(f"{query} GROUP BY 1, 2")
    assert sorted(rows) == [("deferred", 1, 6), ("delivered", 2, 6)]
    assert node.world.rows("SELECT queue_id FROM log_queue") == [("",)]
    assert node.world.rows("SELECT DISTINCT status FROM messages") == [("delivered",)]


def test_a_restored_journal_takes_the_log_from_where_it_was(node: Node) -> None:
    node.accept(1, 2, 3)
    node.deliver(1)
    node.take()
    node.world.copy("backup")
    node.deliver(2)
    node.take()
    node.close()
    node.world.restore("backup")
    node.start()
    node.deliver(3)
    node.take()
    assert node.delivered() == 3


def test_a_log_that_is_not_there_costs_no_record(node: Node) -> None:
    node.log.unlink()
    node.accept(1)
    done = node.rounds()
    assert "mail.log" in done.log_problem
    assert node.world.count("messages") == 1


def test_after_another_log_the_same_is_not_told_again(node: Node) -> None:
    node.accept(1, 2)
    node.deliver(1)
    last = 1795843198_000_000  # 05:19:58
    node.ingester.take((), Logged(f'journal {last} {{"cursor": "s=1"}}', line_at=last))
    one = queue_id(2)
    node.tell(active(one), outcome(number=one, second="58"))
    node.take()
    assert node.world.rows("SELECT count(*) FROM events WHERE type = 'delivered'") == [(1,)]
