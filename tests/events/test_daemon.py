"""gatepost-events as it runs: killed, locked out of the journal, beside a second one, told to stop."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from gatepost_core.domain import ids
from gatepost_core.spool import SpoolError, Writer, segment
from tests.core.ingest.world import NOON, accepted, numbered
from tests.core.running import PATIENCE, Running, listening
from tests.core.stores import Store, make_store
from tests.waiting import until

SIZE = 2 * 1024 * 1024


@dataclass
class Node:
    """A store, a spool that the test writes to as the milter does, and the daemon."""

    store: Store
    daemon: Running
    written: set[str] = field(default_factory=set[str])
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1_000_000)))
    elsewhere: Path | None = None

    @property
    def stream(self) -> Path:
        return self.store.settings.spool.directory / "milter"

    @property
    def journal(self) -> Path:
        return self.elsewhere or self.store.folder / "journal.db"

    def write(self, number: int, writer: Writer | None = None) -> None:
        """Have so many records on disk, one by one."""
        self.stream.mkdir(mode=0o750, exist_ok=True)
        own = writer or Writer(self.stream, size=SIZE, most=64 * SIZE)
        for _ in range(number):
            record = numbered(next(self.numbers))
            own.append(accepted(record))
            self.written.add(record.queue_id)
        if writer is None:
            own.close()

    def recorded(self) -> list[str]:
        with closing(sqlite3.connect(self.journal)) as database:
            return sorted(row[0] for row in database.execute("SELECT queue_id FROM messages"))

    def wait(self) -> None:
        """Wait until the journal has each record, once."""
        until(
            lambda: len(self.recorded()) >= len(self.written),
            lambda: f"{len(self.written)} records; there are {len(self.recorded())}; {self.daemon.log}",
            PATIENCE,
        )
        assert self.recorded() == sorted(self.written)

    def worker(self) -> int:
        parent = self.daemon.process.pid
        return int(Path(f"/proc/{parent}/task/{parent}/children").read_text().split()[0])


def arguments(store: Store, *settings: str) -> list[str]:
    listed = ("events.interval=0.05", *settings)
    words = [word for one in listed for word in ("--set", one)]
    return ["-m", "gatepost_events.main", "--config", str(store.config), *words]


@contextmanager
def running(store: Store, *settings: str) -> Iterator[Node]:
    store.settings.spool.directory.mkdir(mode=0o750, exist_ok=True)
    (store.folder / "orders").unlink(missing_ok=True)
    with (
        listening(store.folder / "orders") as listener,
        Running(arguments(store, *settings), store.folder, listener=listener) as daemon,
    ):
        yield Node(store, daemon)


def test_what_the_spool_has_is_soon_in_the_journal(tmp_path: Path) -> None:
    with running(make_store(tmp_path)) as node:
        node.write(300)
        node.wait()
        node.write(10)
        node.wait()


def test_what_waited_while_the_daemon_was_away_is_taken_at_its_start(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    with running(store) as node:
        node.write(10)
        node.wait()
    assert node.daemon.stop() == 0
    with running(store) as again:
        again.numbers = node.numbers
        again.written = node.written
        again.write(500)
        again.wait()


def test_what_is_there_is_taken_before_the_daemon_ends(tmp_path: Path) -> None:
    with running(make_store(tmp_path), "events.interval=60") as node:
        node.daemon.wait_log("ready")
        node.write(3000)
        assert node.daemon.stop() == 0
        assert node.recorded() == sorted(node.written)


def more_than(node: Node, number: int) -> bool:
    return len(node.recorded()) > number


@pytest.mark.parametrize("who", ["worker", "parent"])
def test_killed_at_any_moment_nothing_is_lost_or_taken_twice(tmp_path: Path, who: str) -> None:
    """A worker fifteen times, a parent five times, while records come in."""
    store = make_store(tmp_path)
    over = threading.Event()
    written: set[str] = set()
    numbers = iter(range(1_000_000))
    # So many at a kill: without a bound a slow machine would have more at the end than it takes in time.
    turns = threading.Semaphore(0)

    def write(stream: Path) -> None:
        writer = Writer(stream, size=SIZE, most=64 * SIZE)
        while not over.is_set():
            if not turns.acquire(timeout=0.05):
                continue
            record = numbered(next(numbers))
            try:
                writer.append(accepted(record))
            except SpoolError:
                continue
            written.add(record.queue_id)
        writer.close()

    stream = store.settings.spool.directory / "milter"
    stream.mkdir(mode=0o750, parents=True)
    stream.parent.chmod(0o750)
    thread = threading.Thread(target=write, args=(stream,))
    thread.start()
    try:
        for _ in range(5):
            with running(store) as node:
                for kill in range(3 if who == "worker" else 1):
                    before = len(node.recorded())
                    turns.release(1_000)
                    until(partial(more_than, node, before), lambda: node.daemon.log)
                    if who == "parent":
                        os.kill(node.daemon.process.pid, signal.SIGKILL)
                        break
                    os.kill(node.worker(), signal.SIGKILL)
                    node.daemon.wait_log("worker died", kill + 1)
    finally:
        over.set()
        thread.join()
    with running(store) as node:
        node.written = written
        node.wait()


def test_a_journal_that_is_locked_or_away_is_told_and_what_waited_is_taken_afterwards(tmp_path: Path) -> None:
    with running(make_store(tmp_path)) as node:
        node.write(10)
        node.wait()
        holder = sqlite3.connect(node.journal, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        node.write(20)
        assert "database is locked" in node.daemon.wait_log("the spool is not taken")
        holder.execute("ROLLBACK")
        holder.close()
        node.wait()
        node.daemon.wait_log("the spool is taken again")
        for file in tmp_path.glob("journal.db*"):
            file.rename(tmp_path / f"away-{file.name}")
        node.write(20)
        assert "journal.db" in node.daemon.wait_log("the spool is not taken", 2)
        for file in tmp_path.glob("away-*"):
            file.rename(tmp_path / file.name.removeprefix("away-"))
        node.wait()
        assert "worker died" not in node.daemon.log


def test_a_journal_whose_disk_is_full_is_told_and_what_waited_is_taken_once_there_is_room(
    tmp_path: Path,
) -> None:
    """Mounting needs root, as the other tests here do."""
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=750", "tmpfs", small], check=True)
    try:
        store = make_store(tmp_path)
        for file in tmp_path.glob("journal.db*"):
            shutil.move(file, small / file.name)
        with running(store, f"store.journal_url=sqlite:///{small}/journal.db") as node:
            node.elsewhere = small / "journal.db"
            node.write(10)
            node.wait()
            filler = small / "filler"
            with filler.open("wb", buffering=0) as full, suppress(OSError):
                while True:
                    full.write(bytes(4096))
            node.write(3000)
            assert "full" in node.daemon.wait_log("the spool is not taken")
            filler.unlink()
            node.wait()
            assert "worker died" not in node.daemon.log
    finally:
        subprocess.run(["umount", "--lazy", small], check=True)


def test_a_second_daemon_of_a_node_takes_nothing_and_says_whose_turn_it_is(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    with running(store) as node:
        node.write(1)
        node.wait()
        with (
            listening(tmp_path / "second") as listener,
            Running(arguments(store), tmp_path, listener=listener) as second,
        ):
            log = second.wait_log("another gatepost-events takes the spool")
            assert f"(process {node.worker()})" in log
            node.write(100)
            node.wait()
            os.kill(node.daemon.process.pid, signal.SIGKILL)
            node.write(100)
            node.wait()  # the second one goes on where the first was


def test_a_worker_that_stands_still_is_replaced(tmp_path: Path) -> None:
    with running(make_store(tmp_path), "events.hang_seconds=4") as node:
        node.write(1)
        node.wait()
        os.kill(node.worker(), signal.SIGSTOP)
        node.daemon.wait_log("worker hangs, replacing it")
        node.write(10)
        node.wait()


@pytest.mark.parametrize("fault", ["mode", "owner", "file"])
def test_a_folder_that_is_not_ours_is_refused_in_words(tmp_path: Path, fault: str) -> None:
    store = make_store(tmp_path)
    folder = store.settings.spool.directory
    folder.mkdir(mode=0o750)
    expected = {"mode": "can be written by everybody", "owner": "belongs to the user 65534", "file": ""}[
        fault
    ]
    if fault == "mode":
        folder.chmod(0o777)
    elif fault == "owner":
        os.chown(folder, 65534, 65534)
    else:
        folder.rmdir()
        folder.write_bytes(b"")
    with listening(tmp_path / "orders") as listener:
        daemon = Running(arguments(store), tmp_path, listener=listener)
        assert daemon.process.wait(PATIENCE) == 4
        assert "gatepost-events: spool.directory: " in daemon.log
        assert expected in daemon.log
        daemon.stop()


def test_a_store_of_a_newer_release_is_told_and_nothing_of_the_spool_is_lost(tmp_path: Path) -> None:
    """Its tables have other names: nothing is taken, mail goes on, and after the upgrade all of it is."""
    store = make_store(tmp_path)
    with closing(sqlite3.connect(tmp_path / "journal.db")) as database, database:
        database.execute("ALTER TABLE positions RENAME TO places")
    with running(store) as node:
        node.write(10)
        assert "run 'gatepost store upgrade'" in node.daemon.wait_log("the spool is not taken")
        with closing(sqlite3.connect(tmp_path / "journal.db")) as database, database:
            database.execute("ALTER TABLE places RENAME TO positions")
        node.wait()


def test_metrics_say_what_was_taken_and_how_far_behind_it_is(tmp_path: Path) -> None:
    with running(make_store(tmp_path), f"events.metrics_listen=unix:{tmp_path}/metrics") as node:
        node.write(42)
        node.wait()
        (path,) = [one.path for one in segment.segments(node.stream)]
        data = bytearray(segment.head(b"f" * 16)) + b"\x01" * 64
        (node.stream / f"{(b'f' * 16).hex()}.segment").write_bytes(data)
        node.daemon.wait_log("it was set aside")
        assert path.exists()
        values = metrics(tmp_path / "metrics")
        assert values['gatepost_events_taken_total{kind="message"}'] == 42
        assert values["gatepost_events_behind_seconds"] < 60
        assert values["gatepost_events_stopped_segments"] == 0
        assert values["gatepost_events_set_aside_total"] == 1


def test_what_is_older_than_it_is_kept_goes_by_itself(tmp_path: Path) -> None:
    """The records of the test are of 2026-11-27 and the hour after it."""
    store = make_store(tmp_path)
    days = (datetime.now(UTC) - NOON).days + 10
    with running(store, f"store.keep_days={days}", "events.prune_interval=1") as node:
        node.write(120)
        node.wait()
        old = numbered(1, id=ids.new(1), created_at=NOON.replace(year=2020), queue_id="OLD")
        writer = Writer(node.stream, size=SIZE, most=64 * SIZE)
        writer.append(accepted(old))
        writer.close()
        assert "messages=1 events=1" in node.daemon.wait_log("let go of what is old")
        node.wait()


def metrics(path: Path) -> dict[str, float]:
    connection = http.client.HTTPConnection("localhost", timeout=PATIENCE)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(PATIENCE)
    connection.sock.connect(str(path))
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}
