"""Mail goes on without metrics and log: a folder that is full or missing, a log that nobody reads."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from gatepost_milter.editing.headers import Header
from gatepost_milter.editing.message import Message
from tests.core.running import PATIENCE, Running, connect, listening
from tests.core.stores import Store, make_store
from tests.integration.wire import Client
from tests.policy.test_daemon import ask, question
from tests.sasl.test_daemon import login

LETTER = Message((Header(b"From", b" alice@example.test"), Header(b"Subject", b" x")), b"hello\r\n")


def logs_in(path: Path) -> None:
    assert login(path, "alice") == "OK\t1\tuser=alice"
    assert login(path, "alice", "wrong").startswith("FAIL\t1\t")


def is_permitted(path: Path) -> None:
    with connect(path) as client:
        assert ask(client, question()) == "action=DUNNO"
        assert ask(client, question(sasl_username="nobody")).startswith("action=550")


def is_accepted(path: Path) -> None:
    with Client(str(path), "alice", PATIENCE) as client:
        assert client.send(LETTER, "alice@example.test", ["bob@example.org"]).action == "accept"
    with Client(str(path), "off", PATIENCE) as client:
        assert client.send(LETTER, "alice@example.test", ["bob@example.org"]).action == "reject"


# What each daemon is for, once with a good and once with a bad outcome.
DAEMONS: dict[str, Callable[[Path], None]] = {"sasl": logs_in, "policy": is_permitted, "milter": is_accepted}


@dataclass
class Case:
    """A daemon with one worker, whose runtime folder is a small file system of its own."""

    name: str
    runtime: Path
    socket: Path
    daemon: Running

    def works(self) -> None:
        DAEMONS[self.name](self.socket)

    def metrics(self) -> str:
        with connect(self.runtime / "metrics") as client:
            client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            return b"".join(iter(lambda: client.recv(65536), b"")).decode()

    def worker(self) -> int:
        parent = self.daemon.process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return int(children[0])

    def replace_worker(self) -> None:
        """Kill the worker and wait for its successor."""
        before = self.worker()
        os.kill(before, signal.SIGKILL)
        self.daemon.wait_log("worker died")
        self.daemon.wait_log("respawn_in=0")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A folder that holds 256 kB. Mounting needs root, as the other tests here do."""
    folder = tmp_path / "runtime"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> None:
    """Leave no room in a folder's file system."""
    with (folder / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


@contextmanager
def started(name: str, store: Store, runtime: Path, *, stderr: int | None = None) -> Iterator[Case]:
    socket = store.folder / "socket"
    listed = [f"{name}.workers=1", f"{name}.metrics_listen=unix:{runtime}/metrics"]
    if name == "sasl":
        listed.append("sasl.failure_delay=0")
    arguments: Sequence[str] = ["-m", f"gatepost_{name}.main", "--config", str(store.config)]
    arguments = [*arguments, *(word for one in listed for word in ("--set", one))]
    environ = {"RUNTIME_DIRECTORY": str(runtime)}
    with (
        listening(socket) as listener,
        Running(arguments, store.folder, listener=listener, environ=environ, stderr=stderr) as daemon,
    ):
        yield Case(name, runtime, socket, daemon)


@pytest.fixture(params=list(DAEMONS))
def name(request: pytest.FixtureRequest) -> str:
    daemon: str = request.param
    return daemon


def test_a_folder_that_is_full_at_the_start_costs_the_metrics_only(
    name: str, tmp_path: Path, small: Path
) -> None:
    fill(small)
    with started(name, make_store(tmp_path), small) as case:
        case.works()
        case.daemon.wait_log("metrics cannot be kept, mail goes on without them")
        assert "worker died" not in case.daemon.log


def test_a_folder_that_fills_while_the_daemon_runs_costs_what_comes_new(
    name: str, tmp_path: Path, small: Path
) -> None:
    with started(name, make_store(tmp_path), small) as case:
        case.works()
        fill(small)
        for _ in range(50):
            case.works()
        assert "worker died" not in case.daemon.log
        case.replace_worker()
        case.works()
        assert "gatepost_" in case.metrics()


def test_a_folder_that_is_gone_does_not_keep_a_new_worker_from_its_work(
    name: str, tmp_path: Path, small: Path
) -> None:
    with started(name, make_store(tmp_path), small) as case:
        shutil.rmtree(small, ignore_errors=True)  # all that is in it: the mount itself stays
        case.replace_worker()
        case.works()
        case.daemon.wait_log("metrics cannot be kept")  # once a second
        assert case.daemon.log.count("worker died") == 1


def test_without_a_runtime_folder_the_daemon_starts(name: str, tmp_path: Path) -> None:
    with started(name, make_store(tmp_path), tmp_path / "missing") as case:
        case.works()
        assert "metrics are not shown, mail goes on without them" in case.daemon.log


@pytest.mark.parametrize("when", ["at the start", "while it runs"])
def test_a_log_that_nobody_reads_stops_no_mail(name: str, when: str, tmp_path: Path) -> None:
    read, write = os.pipe()
    with ExitStack() as stack:
        stack.callback(os.close, read)
        stack.callback(os.close, write)
        if when == "at the start":
            crowd(write)
        case = stack.enter_context(started(name, make_store(tmp_path), tmp_path, stderr=write))
        case.works()
        crowd(write)
        for _ in range(20):
            case.works()
        os.set_blocking(read, False)
        text, limit = b"", time.monotonic() + PATIENCE
        while b"gatepost" not in text and b"daemon=" not in text:  # what waited comes when it is read
            assert time.monotonic() < limit
            case.works()
            with suppress(BlockingIOError):
                text += os.read(read, 1 << 20).lstrip(b"\0")


def crowd(write: int) -> None:
    """Fill a pipe."""
    other = os.open(f"/proc/self/fd/{write}", os.O_WRONLY | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while True:
            os.write(other, bytes(4096))
    os.close(other)
