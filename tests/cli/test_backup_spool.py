"""The spool in a backup: whatever was accepted before one is in the store that comes of it, once."""

from __future__ import annotations

import io
import sqlite3
import tarfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gatepost_core import spool
from gatepost_core.settings import Settings, load
from gatepost_core.spool import Writer
from gatepost_core.store import StoreUnavailable
from gatepost_core.store.sqlite.ingesting import Ingester
from gatepost_events.rounds import Rounds
from tests.core.ingest.world import accepted, numbered
from tests.waiting import until

from .command import Gatepost, make

SIZE = 64 * 1024
MOST = 16 * SIZE
CYCLES = 10


@dataclass
class Gateway:
    """A gateway of which only the spool works: writers, and what takes it and lets go as early as it can."""

    command: Gatepost
    node: str
    accepted: list[str] = field(default_factory=list)
    number: int = 0

    @property
    def settings(self) -> Settings:
        return load(self.command.config, environ={})

    @property
    def stream(self) -> Path:
        return spool.stream(self.settings.spool.directory, "milter")

    @contextmanager
    def rounds(self) -> Iterator[Rounds]:
        with closing(Ingester(self.settings.store.journal, self.node, synchronous="normal")) as ingester:
            yield Rounds(self.settings.spool.directory, ingester, keep=0, most={"milter": MOST})

    def take_all(self) -> None:
        with self.rounds() as rounds:
            while (done := rounds()).entries or done.more:
                pass
        assert not done.stopped

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Accept messages, and take the spool, until the block ends."""
        over = threading.Event()
        working = [threading.Thread(target=work, args=(over,)) for work in (self._accept, self._take)]
        for thread in working:
            thread.start()
        try:
            self.wait(200)
            yield
            self.wait(50)
        finally:
            over.set()
            for thread in working:
                thread.join()

    def wait(self, more: int) -> None:
        wanted = len(self.accepted) + more
        until(lambda: len(self.accepted) >= wanted, "messages to be accepted")

    def _accept(self, over: threading.Event) -> None:
        writer = Writer(self.stream, size=SIZE, most=MOST)
        while not over.is_set():
            self.number += 1
            record = numbered(self.number)
            try:
                writer.append(accepted(record))
            except spool.SpoolFull:  # 451
                over.wait(0.01)
                continue
            self.accepted.append(record.id)
        writer.close()

    def _take(self, over: threading.Event) -> None:
        with self.rounds() as rounds:
            while not over.is_set():
                with suppress(StoreUnavailable):  # locked for a moment: the same is read again
                    rounds()
                    rounds.retire()

    def rows(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self.settings.store.journal.removeprefix("sqlite:///"))) as connection:
            return [value for (value,) in connection.execute(query)]


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    (tmp_path / "first").mkdir()
    return Gateway(make(tmp_path / "first"), "first")


def bare(folder: Path) -> Gatepost:
    folder.mkdir()
    return make(folder, upgraded=False)


def backup(command: Gatepost, file: Path) -> Path:
    done = command("backup", "create", str(file))
    assert done.code == 0, done.err
    assert command("backup", "verify", str(file)).code == 0
    return file


def restore(command: Gatepost, file: Path) -> None:
    done = command("backup", "restore", str(file))
    assert done.code == 0, done.err


def members(file: Path) -> list[str]:
    with tarfile.open(file) as opened:
        return [name for name in opened.getnames() if name.startswith("spool/")]


def test_ten_cycles_of_traffic_backup_and_restore_lose_and_double_nothing(
    gateway: Gateway, tmp_path: Path
) -> None:
    """Each host is restored from a backup of the one before, made while mail came in."""
    sure: set[str] = set()
    for cycle in range(CYCLES):
        with gateway.busy():
            sure |= set(gateway.accepted)
            file = backup(gateway.command, tmp_path / f"{cycle}.tar.gz")
        node = "first" if cycle % 2 else f"node-{cycle}"
        restored = Gateway(bare(tmp_path / str(cycle)), node, number=gateway.number)
        restore(restored.command, file)
        restored.take_all()
        found = restored.rows("SELECT id FROM messages")
        assert sure <= set(found)
        assert len(found) == len(set(found))
        assert restored.rows("SELECT message_id FROM events ORDER BY 1") == sorted(found)
        assert restored.rows("SELECT sum(count) FROM rollups WHERE kind = 'credential'") == [len(found)]
        gateway = restored
        sure = set(found)


def test_what_the_copied_journal_has_not_all_of_is_in_the_archive_and_nothing_else(
    gateway: Gateway, tmp_path: Path
) -> None:
    taken = Writer(gateway.stream, size=SIZE, most=MOST)
    taken.append(accepted(numbered(1)))
    taken.close()
    gateway.take_all()
    waiting = Writer(gateway.stream, size=SIZE, most=MOST)
    waiting.append(accepted(numbered(2)))
    (name,) = members(backup(gateway.command, tmp_path / "one.tar.gz"))
    assert len(list(gateway.stream.glob("*.segment"))) == 2
    with tarfile.open(tmp_path / "one.tar.gz") as opened:
        assert opened.getmember(name).size < SIZE  # no more than what is whole
    waiting.close()


def test_no_file_of_the_spool_makes_room_while_a_backup_copies(gateway: Gateway) -> None:
    """Not even where the spool is crowded: what the store took since its copy was made would be missing."""
    writer = Writer(gateway.stream, size=SIZE, most=MOST)
    writer.append(accepted(numbered(1)))
    writer.close()
    with gateway.rounds() as rounds:
        while rounds().taken is not None:
            pass
        with spool.kept([gateway.stream]), spool.kept([gateway.stream]):
            assert rounds.retire() == 0
        assert rounds.retire() == 1


def test_a_restore_is_refused_while_somebody_writes_to_the_spool(gateway: Gateway, tmp_path: Path) -> None:
    """What a daemon goes on appending would be moved away with the old files, and never be read."""
    file = backup(gateway.command, tmp_path / "one.tar.gz")
    writer = Writer(gateway.stream, size=SIZE, most=MOST)
    writer.append(accepted(numbered(1)))
    refused = gateway.command("backup", "restore", str(file))
    assert (refused.code, "stop the daemons" in refused.err) == (1, True)
    writer.close()
    restore(gateway.command, file)


def test_an_archive_of_a_release_without_a_spool_puts_an_empty_one_in_place(
    gateway: Gateway, tmp_path: Path
) -> None:
    """What waits on this host belongs to the store that was replaced; it is kept beside."""
    file = backup(gateway.command, tmp_path / "one.tar.gz")
    assert not members(file)
    writer = Writer(gateway.stream, size=SIZE, most=MOST)
    writer.append(accepted(numbered(1)))
    writer.close()
    restore(gateway.command, file)
    gateway.take_all()
    assert gateway.rows("SELECT id FROM messages") == []
    (before,) = gateway.settings.spool.directory.glob("milter.before-*")
    assert len(list(before.glob("*.segment"))) == 1


@pytest.mark.parametrize("name", ["spool/milter/other", "spool/x.segment", f"spool/../{'0' * 32}.segment"])
def test_a_file_of_the_spool_that_no_backup_has_is_refused(
    gateway: Gateway, tmp_path: Path, name: str
) -> None:
    file = backup(gateway.command, tmp_path / "one.tar.gz")
    with tarfile.open(file) as old:
        content = {info.name: (old.extractfile(info) or io.BytesIO()).read() for info in old}
    manifest = content["manifest.json"].replace(b'"files": {', f'"files": {{"{name}": {MEMBER},'.encode())
    with tarfile.open(file, "w:gz") as new:
        for member, data in (content | {name: b"", "manifest.json": manifest}).items():
            info = tarfile.TarInfo(member)
            info.size = len(data)
            new.addfile(info, io.BytesIO(data))
    refused = gateway.command("backup", "verify", str(file))
    assert refused.code == 1
    assert "which no backup of Gatepost's does" in refused.err


MEMBER = '{"size": 0, "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}'


@pytest.mark.parametrize("finished", [True, False])
def test_drain_tells_whether_the_store_has_all(gateway: Gateway, finished: bool) -> None:
    """Before an older release starts, which may not know what this one wrote."""
    assert gateway.command("store", "drain", "--seconds", "0").code == 0
    writer = Writer(gateway.stream, size=SIZE, most=MOST)
    writer.append(accepted(numbered(1)))
    if finished:
        writer.close()
    refused = gateway.command("store", "drain", "--seconds", "0")
    assert refused.code == 1
    assert "has entries that the store has not" in refused.err
    gateway.take_all()
    assert gateway.command("store", "drain", "--seconds", "0", "--json").data["directory"]
    writer.close()


def test_drain_waits_for_what_takes_the_spool(gateway: Gateway) -> None:
    writer = Writer(gateway.stream, size=SIZE, most=MOST)
    writer.append(accepted(numbered(1)))
    writer.close()
    taking = threading.Timer(0.3, gateway.take_all)
    taking.start()
    assert gateway.command("store", "drain", "--seconds", "30").code == 0
    taking.join()
