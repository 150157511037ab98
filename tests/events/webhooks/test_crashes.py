"""gatepost-events is killed, or the journal is locked, while events are sent: none is lost, order is kept."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing
from itertools import groupby
from pathlib import Path

from gatepost_core.domain import MessageRecord
from tests.core.running import Running
from tests.waiting import until

from .receiver import Receiver, receiving
from .world import Hooked

TYPES = ["accepted", "bounced", "complaint"]


def worker(daemon: Running) -> int:
    parent = daemon.process.pid
    return int(Path(f"/proc/{parent}/task/{parent}/children").read_text().split()[0])


def assert_all_came_in_order(records: list[MessageRecord], receiver: Receiver) -> None:
    """Each event of each message came; one that came again has its id, and came again at once."""
    for record in records:
        mine = [one for one in receiver.got if one.event["message"] == record.id]
        assert [type_ for type_, _ in groupby(one.event["type"] for one in mine)] == TYPES
        assert len({one.number for one in mine}) == len(TYPES)


def arrived(receiver: Receiver) -> int:
    return len({one.number for one in list(receiver.got)})


def test_a_worker_that_is_killed_and_a_daemon_that_is_lose_nothing(
    hooked: Hooked, receiver: Receiver
) -> None:
    hooked.add(receiver.url)
    records = []
    with hooked.daemon() as daemon:
        for part in (1, 2, 3):
            records += [hooked.send(*TYPES[1:]) for _ in range(40)]
            receiver.wait(len(receiver.got) + 20)
            os.kill(worker(daemon) if part < 3 else daemon.process.pid, signal.SIGKILL)
            if part < 3:
                daemon.wait_log("worker died", part)
    until(lambda: not Path(f"/proc/{daemon.process.pid}").exists())
    with hooked.daemon():
        until(lambda: arrived(receiver) == 360, lambda: f"360 events; {arrived(receiver)} came", 60)
    assert_all_came_in_order(records, receiver)


def test_what_was_under_way_is_sent_again_at_once_after_a_crash(hooked: Hooked, receiver: Receiver) -> None:
    receiver.plan = [receiver.hang]
    hooked.add(receiver.url)
    with hooked.daemon("webhooks.timeout=60") as daemon:
        record = hooked.send()
        receiver.wait(1)
        os.kill(worker(daemon), signal.SIGKILL)
        first, second = receiver.wait(2)
    assert first.number == second.number
    assert second.event["message"] == record.id


def test_while_the_journal_is_locked_what_arrived_is_remembered_and_not_sent_twice(
    hooked: Hooked, receiver: Receiver
) -> None:
    hooked.add(receiver.url)
    with hooked.daemon() as daemon:
        hooked.send()
        receiver.wait(1)
        with receiving() as slow:
            slow.usual = slow.hang
            hooked.add(slow.url)
            hooked.send()
            slow.wait(1)  # is under way while the lock is taken
            with closing(sqlite3.connect(hooked.node.journal, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                slow.usual = lambda _: False
                slow.over.set()
                daemon.wait_log("webhooks are not sent")
                other.execute("ROLLBACK")
            daemon.wait_log("webhooks are sent again")
            hooked.send()
            until(lambda: arrived(receiver) == 3)
            assert len({one.number for one in slow.got}) == arrived(slow)
    assert len(receiver.got) == 3


def test_a_journal_that_is_moved_away_is_no_hang_and_what_follows_is_sent(
    hooked: Hooked, receiver: Receiver
) -> None:
    hooked.add(receiver.url)
    with hooked.daemon("events.hang_seconds=6") as daemon:
        hooked.send()
        receiver.wait(1)
        until(lambda: hooked.say("list")[0]["waiting"] == 0)
        files = [path for path in hooked.node.journal.parent.iterdir() if path.name.startswith("journal.db")]
        aside = hooked.gatepost.folder / "aside"
        aside.mkdir()
        for path in files:
            path.rename(aside / path.name)
        daemon.wait_log("webhooks are not sent")
        before = worker(daemon)
        hooked.send()
        time.sleep(9)  # nothing to wait for: it is to go on as it is
        for path in files:
            (aside / path.name).rename(path)
        receiver.wait(2)
        assert worker(daemon) == before, daemon.log
