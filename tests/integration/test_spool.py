"""Records of messages in the spool: there before 250, whatever becomes of journal, disk or worker."""

from __future__ import annotations

import itertools
import os
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gatepost_core.domain import spooled
from gatepost_core.spool import read
from gatepost_core.store.sqlite.ingesting import Ingester
from gatepost_milter.editing.headers import Header
from gatepost_milter.editing.message import Message
from tests.core.running import PATIENCE, Running, listening
from tests.core.stores import Store, make_store
from tests.integration.wire import Answer, Client, WireError
from tests.refs import bare
from tests.waiting import until

LETTER = Message((Header(b"From", b" alice@example.test"), Header(b"Subject", b" x")), b"hello\r\n")
SIZE = 2 * 1024 * 1024
# A call of the kernel's that fails once, as with a disk that gives up a block, while a file says so.
FAILING = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>
ssize_t pwritev64v2(int file, const struct iovec *what, int count, off64_t at, int flags) {
    ssize_t (*real)(int, const struct iovec *, int, off64_t, int) = dlsym(RTLD_NEXT, "pwritev64v2");
    const char *fail = getenv("FAIL");
    int flush = access(fail, F_OK) == 0 && unlink(fail) == 0;
    ssize_t written = real(file, what, count, at, flags);
    if (!flush) return written;
    errno = EIO;
    return -1;
}
"""


@dataclass
class Milter:
    """A milter with one worker, all of its files below a folder."""

    store: Store
    daemon: Running
    accepted: set[str] = field(default_factory=set[str])
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def stream(self) -> Path:
        return self.store.settings.spool.directory / "milter"

    def client(self) -> Client:
        return Client(str(self.store.folder / "socket"), "alice", PATIENCE)

    def send(self, to: Sequence[str] = ("bob@example.org",)) -> Answer:
        with self.client() as client:
            return self.send_by(client, to)

    def send_by(self, client: Client, to: Sequence[str] = ("bob@example.org",)) -> Answer:
        queue_id = client.begin(LETTER, "alice@example.test", to, f"Q{next(self.numbers)}")
        answer = client.end(LETTER, queue_id)
        if answer.action == "accept":
            self.accepted.add(queue_id)
        return answer

    def recorded(self) -> list[str]:
        """Return the queue ids of the records in the spool; nothing there is damaged."""
        positions: dict[bytes, int] = {}
        found: list[str] = []
        more = True
        while more:
            more = False
            for batch in read(self.stream, positions, 10_000):
                assert not batch.fault, batch.fault
                positions[batch.segment] = batch.end
                more = more or bool(batch.entries)
                found += [spooled.read_accepted(one.id, one.content).row.queue_id for one in batch.entries]
        return found

    def take(self) -> None:
        """Have the journal take what the spool has, as gatepost-events does, in small batches."""
        ingester = Ingester(self.store.settings.store.journal, "node")
        try:
            more = True
            while more:
                positions = ingester.positions().get("milter", {})
                batches = [("milter", batch) for batch in read(self.stream, positions, 50)]
                more = any(batch.entries for _, batch in batches)
                ingester.take(batches)
        finally:
            ingester.close()

    def in_journal(self) -> list[str]:
        """Return the queue ids of the records in the journal."""
        with closing(sqlite3.connect(self.store.folder / "journal.db")) as database:
            return [row[0] for row in database.execute("SELECT queue_id FROM messages")]

    def worker(self) -> int:
        parent = self.daemon.process.pid
        return int(Path(f"/proc/{parent}/task/{parent}/children").read_text().split()[0])


@contextmanager
def running(store: Store, environ: dict[str, str] | None = None, *settings: str) -> Iterator[Milter]:
    listed = ("milter.workers=1", f"spool.segment_size={SIZE}", *settings)
    arguments = ["-m", "gatepost_milter.main", "--config", str(store.config)]
    arguments += [word for one in listed for word in ("--set", one)]
    with (
        listening(store.folder / "socket") as listener,
        Running(arguments, store.folder, listener=listener, environ=environ) as daemon,
    ):
        yield Milter(store, daemon)


def is_refused(answer: Answer) -> None:
    assert answer.action == "tempfail"
    assert bare(answer.reply) == "451 4.3.0 The mail gateway cannot record the message; try again later"


def test_the_journal_is_not_needed_for_mail_to_go_on(tmp_path: Path) -> None:
    """Locked by somebody, then moved away: no message is refused, and each is recorded."""
    with running(make_store(tmp_path)) as milter, ExitStack() as stack:
        holder = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
        stack.callback(holder.close)
        holder.execute("BEGIN EXCLUSIVE")
        for _ in range(50):
            assert milter.send().action == "accept"
        holder.execute("ROLLBACK")
        for file in tmp_path.glob("journal.db*"):
            file.rename(tmp_path / f"away-{file.name}")
        for _ in range(50):
            assert milter.send().action == "accept"
        assert len(milter.accepted) == 100
        for file in tmp_path.glob("away-*"):
            file.rename(tmp_path / file.name.removeprefix("away-"))
        milter.take()
        assert sorted(milter.in_journal()) == sorted(milter.accepted)


def test_a_write_that_fails_refuses_its_message_and_no_later_one(tmp_path: Path) -> None:
    source, library, fail = tmp_path / "fail.c", tmp_path / "fail.so", tmp_path / "fail"
    source.write_text(FAILING)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True, timeout=60)
    environ = {"LD_PRELOAD": str(library), "FAIL": str(fail)}
    with running(make_store(tmp_path), environ) as milter:
        for number in range(30):
            if number % 10 == 5:
                fail.touch()
                is_refused(milter.send())
                assert "Input/output error" in milter.daemon.wait_log("Input/output error", number // 10 + 1)
            assert milter.send().action == "accept"
        assert sorted(milter.recorded()) == sorted(milter.accepted)


def test_faults_under_load_lose_nothing_that_was_accepted(tmp_path: Path) -> None:
    """Eight sessions at once share a flush: where that fails, all of them hear 451."""
    source, library, fail = tmp_path / "fail.c", tmp_path / "fail.so", tmp_path / "fail"
    source.write_text(FAILING)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True, timeout=60)
    refused: list[str] = []
    with running(make_store(tmp_path), {"LD_PRELOAD": str(library), "FAIL": str(fail)}) as milter:

        def session() -> None:
            with milter.client() as client:
                for number in range(60):
                    if number % 20 == 10:
                        fail.touch()
                    answer = milter.send_by(client)
                    if answer.action != "accept":
                        is_refused(answer)
                        refused.append(answer.reply)

        threads = [threading.Thread(target=session) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert refused
        assert len(milter.accepted) + len(refused) == 8 * 60
        assert sorted(milter.recorded()) == sorted(milter.accepted)
        milter.take()
        assert sorted(milter.in_journal()) == sorted(milter.accepted)


def test_a_disk_that_is_full_refuses_mail_until_there_is_room(tmp_path: Path) -> None:
    """Mounting needs root, as the other tests here do."""
    store = make_store(tmp_path)
    small = store.settings.spool.directory
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={2 * SIZE},mode=750", "tmpfs", small], check=True)
    try:
        filler = small / "filler"
        filler.write_bytes(bytes(SIZE + SIZE // 2))
        with running(store) as milter:
            milter.daemon.wait_log("spool unavailable, trying again at each message")
            for _ in range(3):
                is_refused(milter.send())
            milter.daemon.wait_log("No space left on device")
            filler.unlink()
            assert milter.send().action == "accept"
            assert milter.recorded() == list(milter.accepted)
            assert milter.daemon.log.count("worker died") == 0
    finally:
        subprocess.run(["umount", "--lazy", small], check=True)


def test_a_store_that_takes_nothing_refuses_mail_only_once_the_share_is_taken(tmp_path: Path) -> None:
    many = [f"{number:03}{'x' * 240}@example.org" for number in range(1000)]
    share = f"spool.messages_limit={4 * SIZE}"
    with running(make_store(tmp_path), None, share) as milter, milter.client() as client:
        for _ in range(20):
            assert milter.send_by(client, many).action == "accept"
        until(lambda: milter.send_by(client, many).action != "accept")
        is_refused(milter.send_by(client))
        milter.daemon.wait_log("see whether gatepost-events runs")
        assert sorted(milter.recorded()) == sorted(milter.accepted)
        # What the store has taken and given back is room again; nothing has to be started anew.
        min(milter.stream.glob("*.segment")).unlink()
        assert milter.send_by(client).action == "accept"


def more_came(milter: Milter, before: int) -> None:
    until(lambda: len(milter.accepted) > before + 20)


def test_whatever_was_accepted_is_recorded_once_when_workers_are_killed_under_load(tmp_path: Path) -> None:
    with running(make_store(tmp_path)) as milter:
        ending = threading.Event()

        def session() -> None:
            while not ending.is_set():
                try:
                    with milter.client() as client:
                        for _ in range(50):
                            milter.send_by(client)
                except (OSError, WireError):
                    continue

        threads = [threading.Thread(target=session) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number in range(1, 6):
            before = len(milter.accepted)
            more_came(milter, before)
            os.kill(milter.worker(), signal.SIGKILL)
            milter.daemon.wait_log("worker died", number)
            milter.take()  # while others write
        ending.set()
        for thread in threads:
            thread.join()
        recorded = milter.recorded()
        assert len(recorded) == len(set(recorded))
        assert milter.accepted <= set(recorded)
        for _ in range(2):
            milter.take()
            assert sorted(milter.in_journal()) == sorted(recorded)


def test_a_folder_that_others_may_write_to_is_refused_at_the_start(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    folder = store.settings.spool.directory / "milter"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    for name in ("milter", "sasl"):
        command = ["-m", f"gatepost_{name}.main", "--config", str(store.config)]
        (store.settings.spool.directory / name).mkdir(exist_ok=True)
        (store.settings.spool.directory / name).chmod(0o777)
        with listening(tmp_path / name) as listener:
            daemon = Running(command, tmp_path, listener=listener)
            assert daemon.process.wait(PATIENCE) == 4
            assert "can be written by everybody (mode 777); expected 750" in daemon.log
            daemon.stop()
