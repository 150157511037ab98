"""A worker that lives and serves nobody is replaced; the others, and their sessions, go on."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gatepost_core.serving.heartbeat import Heartbeats
from tests.core.running import Running, ask, connect, listening, read_line

SERVER = ["-m", "tests.core.echo_server"]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_worker_is_missed_when_its_time_is_over_and_no_other() -> None:
    clock = Clock()
    beats = Heartbeats(2, 8.0, clock)
    assert beats.every == 2.0
    missed: list[tuple[float, int]] = []
    for _ in range(10):
        clock.now += 2.0
        beats.beat(0)
        looked = beats.look()
        missed += [(clock.now, slot) for slot in (0, 1) if looked(slot)]
    assert missed[0] == (108.0, 1)
    assert {slot for _, slot in missed} == {1}
    beats.beat(1)
    assert not beats.look()(1)


def test_a_parent_that_was_held_up_gives_everybody_time_anew() -> None:
    clock = Clock()
    beats = Heartbeats(1, 8.0, clock)
    beats.beat(0)
    clock.now += 3600.0  # the machine stood still, and the worker with it
    assert not beats.look()(0)
    clock.now += 4.0
    assert not beats.look()(0)
    clock.now += 4.0
    assert beats.look()(0)


def test_without_a_deadline_nobody_is_missed() -> None:
    clock = Clock()
    beats = Heartbeats(1, 0.0, clock)
    clock.now += 3600.0
    assert beats.every is None
    assert not beats.look()(0)


@contextmanager
def serving(tmp_path: Path, workers: int, hang_seconds: int = 1) -> Iterator[tuple[Running, Path]]:
    path = tmp_path / "socket"
    with (
        listening(path) as listener,
        Running(
            [*SERVER, str(workers), "5", "100", str(hang_seconds)], tmp_path, listener=listener
        ) as daemon,
    ):
        yield daemon, path


def connected(path: Path) -> tuple[socket.socket, int]:
    """Return a connection, and the process that serves it."""
    client = connect(path)
    assert read_line(client) == "hello"
    return client, int(ask(client, "pid"))


def other_than(path: Path, pid: int) -> tuple[socket.socket, int]:
    """Return a connection to another worker than one."""
    while True:
        client, own = connected(path)
        if own != pid:
            return client, own
        client.close()


@pytest.mark.parametrize("how", ["in a loop", "stopped"])
def test_a_worker_that_hangs_while_alive_is_replaced_and_the_other_s_sessions_go_on(
    tmp_path: Path, how: str
) -> None:
    with serving(tmp_path, 2) as (daemon, path):
        hanging, pid = connected(path)
        spared, other = other_than(path, pid)
        if how == "stopped":
            os.kill(pid, signal.SIGSTOP)
        else:
            hanging.sendall(b"hang\n")
        log = daemon.wait_log('event="worker died"')
        assert 'event="worker hangs, replacing it" slot=' in log
        assert f"child={pid}" in log
        assert "signal=SIGKILL" in log
        assert hanging.recv(1) == b""  # which Postfix answers with 4xx
        assert int(ask(spared, "pid")) == other
        fresh, number = other_than(path, other)
        assert number != pid
        for client in (hanging, spared, fresh):
            client.close()
        assert daemon.log.count("worker died") == 1
        assert daemon.stop() == 0


def test_an_idle_worker_is_not_taken_for_one_that_hangs(tmp_path: Path) -> None:
    # Long enough that a busy machine, which lets a worker wait for a second, is not taken for a hang.
    with serving(tmp_path, 2, hang_seconds=4) as (daemon, path):
        client, pid = connected(path)
        client.settimeout(9.0)
        with pytest.raises(TimeoutError):
            client.recv(1)
        assert int(ask(client, "pid")) == pid
        client.close()
        assert "worker died" not in daemon.log
