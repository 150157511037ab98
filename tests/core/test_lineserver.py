"""The pre-forking line server with real processes and sockets."""

from __future__ import annotations

import itertools
import os
import resource
import select
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.core.running import PATIENCE, Running, ask, connect, listening, read_line


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with listening(tmp_path / "socket") as bound:
        yield bound


def echo(
    tmp_path: Path, listener: socket.socket, *, workers: int = 1, drain: float = 10, connections: int = 2000
) -> Running:
    arguments = ["-m", "tests.core.echo_server", str(workers), str(drain), str(connections)]
    return Running(arguments, tmp_path, listener=listener)


def greeted(path: Path) -> socket.socket:
    client = connect(path)
    assert read_line(client) == "hello"
    return client


def wait_ended(pidfd: int) -> bool:
    return bool(select.select([pidfd], [], [], PATIENCE)[0])


def test_a_worker_killed_is_replaced_and_the_socket_still_served(
    tmp_path: Path, listener: socket.socket
) -> None:
    with echo(tmp_path, listener) as daemon:
        with greeted(tmp_path / "socket") as client:
            first = int(ask(client, "pid"))
            os.kill(first, signal.SIGKILL)
            assert client.recv(10) == b""
        with greeted(tmp_path / "socket") as client:
            assert int(ask(client, "pid")) != first
        assert "signal=SIGKILL" in daemon.wait_log('event="worker died"')
        assert daemon.stop() == 0


def test_the_load_of_a_dead_worker_goes_to_the_others(tmp_path: Path, listener: socket.socket) -> None:
    with echo(tmp_path, listener, workers=2), ExitStack() as clients:
        opened = [clients.enter_context(greeted(tmp_path / "socket")) for _ in range(20)]
        pids = {client: int(ask(client, "pid")) for client in opened}
        victim = pids[opened[0]]
        os.kill(victim, signal.SIGKILL)
        for client, pid in pids.items():
            if pid == victim:
                assert client.recv(10) == b""
            else:
                assert ask(client, "still here") == "still here"


def test_workers_die_with_their_parent(tmp_path: Path, listener: socket.socket) -> None:
    with echo(tmp_path, listener) as daemon, greeted(tmp_path / "socket") as client:
        worker = os.pidfd_open(int(ask(client, "pid")))
        daemon.process.kill()
        assert wait_ended(worker)
        os.close(worker)
        assert client.recv(10) == b""


def test_sigterm_lets_an_answer_that_is_under_way_arrive(tmp_path: Path, listener: socket.socket) -> None:
    with echo(tmp_path, listener) as daemon, greeted(tmp_path / "socket") as client:
        client.sendall(b"pid\nlater\n")
        read_line(client)  # the request has arrived
        daemon.terminate()
        assert read_line(client) == "later"
        assert client.recv(10) == b""
        assert daemon.stop() == 0


def test_requests_that_have_arrived_before_sigterm_are_answered(
    tmp_path: Path, listener: socket.socket
) -> None:
    with echo(tmp_path, listener) as daemon, greeted(tmp_path / "socket") as client:
        client.sendall(b"later\n")
        daemon.wait_log("event=ready")
        client.sendall(b"queued\n")
        daemon.terminate()
        daemon.wait_log("event=stopping")
        assert read_line(client) == "later"
        assert read_line(client) == "queued"
        assert client.recv(10) == b""


def test_an_answer_is_held_back_until_its_time(tmp_path: Path, listener: socket.socket) -> None:
    with echo(tmp_path, listener), greeted(tmp_path / "socket") as client:
        began = time.monotonic()
        assert ask(client, "later") == "later"
        assert 0.3 <= time.monotonic() - began < 5


def test_signals_to_a_worker_do_not_end_it(tmp_path: Path, listener: socket.socket) -> None:
    with echo(tmp_path, listener), greeted(tmp_path / "socket") as client:
        worker = int(ask(client, "pid"))
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(worker, number)
            assert int(ask(client, "pid")) == worker


def test_a_worker_that_does_not_end_in_time_is_killed(tmp_path: Path, listener: socket.socket) -> None:
    with echo(tmp_path, listener, drain=0.3) as daemon, greeted(tmp_path / "socket") as client:
        client.sendall(b"hang\n")
        assert daemon.stop() == 0
        assert "killed, not drained in time" in daemon.log


def test_a_client_that_connects_during_a_restart_is_served_by_the_next_process(
    tmp_path: Path, listener: socket.socket
) -> None:
    with echo(tmp_path, listener), greeted(tmp_path / "socket") as client:
        assert ask(client, "one") == "one"
    with connect(tmp_path / "socket") as waiting:
        waiting.sendall(b"two\n")
        with echo(tmp_path, listener):
            assert read_line(waiting) == "hello"
            assert read_line(waiting) == "two"


def test_500_connections_at_once_are_all_served(tmp_path: Path, listener: socket.socket) -> None:
    with echo(tmp_path, listener, workers=2), ExitStack() as clients:
        opened = [clients.enter_context(greeted(tmp_path / "socket")) for _ in range(500)]
        for number, client in enumerate(opened):
            assert ask(client, f"line {number}") == f"line {number}"


def test_a_connection_above_the_cap_waits_for_a_free_place(tmp_path: Path, listener: socket.socket) -> None:
    with echo(tmp_path, listener, connections=2), ExitStack() as clients:
        first = clients.enter_context(greeted(tmp_path / "socket"))
        clients.enter_context(greeted(tmp_path / "socket"))
        third = clients.enter_context(connect(tmp_path / "socket"))
        assert not select.select([third], [], [], 0.3)[0]
        first.close()
        assert read_line(third) == "hello"


def test_a_store_fault_closes_without_an_answer_and_others_go_on(
    tmp_path: Path, listener: socket.socket
) -> None:
    with echo(tmp_path, listener) as daemon, greeted(tmp_path / "socket") as other:
        with greeted(tmp_path / "socket") as client:
            assert ask(client, "store") == ""
        assert ask(other, "going on") == "going on"
        assert 'error="no such file"' in daemon.wait_log("store unavailable")


def test_a_bug_in_a_session_is_logged_with_its_traceback_and_others_go_on(
    tmp_path: Path, listener: socket.socket
) -> None:
    with echo(tmp_path, listener) as daemon, greeted(tmp_path / "socket") as other:
        with greeted(tmp_path / "socket") as client:
            assert ask(client, "bug") == ""
        assert ask(other, "going on") == "going on"
        assert "a bug of the session's" in daemon.wait_log("Traceback")


def test_a_session_that_closes_is_answered_first_and_the_reason_logged(
    tmp_path: Path, listener: socket.socket
) -> None:
    with echo(tmp_path, listener) as daemon, greeted(tmp_path / "socket") as client:
        assert ask(client, "bye") == "bye"
        assert client.recv(10) == b""
        daemon.wait_log('event="connection closed" reason="asked to"')


def test_work_that_blocks_holds_up_nobody_else(tmp_path: Path, listener: socket.socket) -> None:
    with echo(tmp_path, listener), ExitStack() as clients:
        slow = [clients.enter_context(greeted(tmp_path / "socket")) for _ in range(10)]
        quick = clients.enter_context(greeted(tmp_path / "socket"))
        began = time.monotonic()
        for client in slow:
            client.sendall(b"work\n")
        for number in range(100):
            assert ask(quick, f"line {number}") == f"line {number}"
        answered = time.monotonic() - began
        assert [read_line(client) for client in slow] == ["worked"] * 10
        assert answered < 0.4 <= time.monotonic() - began < 3


def test_what_comes_after_work_waits_for_it(tmp_path: Path, listener: socket.socket) -> None:
    with echo(tmp_path, listener), greeted(tmp_path / "socket") as client:
        client.sendall(b"work\nafter\n")
        client.sendall(b"later still\n")
        assert [read_line(client) for _ in range(3)] == ["worked", "after", "later still"]


def test_sigterm_lets_work_that_is_under_way_be_answered(tmp_path: Path, listener: socket.socket) -> None:
    with echo(tmp_path, listener) as daemon, greeted(tmp_path / "socket") as client:
        client.sendall(b"pid\nwork\n")
        read_line(client)
        daemon.terminate()
        assert read_line(client) == "worked"
        assert client.recv(10) == b""
        assert daemon.stop() == 0


@pytest.mark.parametrize(
    ("command", "says"), [("work bug", "a bug of the work's"), ("work store", "no such")]
)
def test_work_that_fails_closes_its_connection_only(
    command: str, says: str, tmp_path: Path, listener: socket.socket
) -> None:
    with echo(tmp_path, listener) as daemon, greeted(tmp_path / "socket") as other:
        with greeted(tmp_path / "socket") as client:
            assert ask(client, command) == ""
        assert ask(other, "going on") == "going on"
        daemon.wait_log(says)


def test_a_client_that_hangs_up_during_work_or_a_delay_leaves_its_place(
    tmp_path: Path, listener: socket.socket
) -> None:
    with echo(tmp_path, listener, connections=2), ExitStack() as clients:
        for command in (b"work\n", b"later\n"):
            with greeted(tmp_path / "socket") as client:
                client.sendall(command)
        for _ in range(2):
            clients.enter_context(greeted(tmp_path / "socket"))


def test_a_long_answer_arrives_whole_while_others_are_served(tmp_path: Path, listener: socket.socket) -> None:
    with echo(tmp_path, listener), ExitStack() as clients:
        slow = clients.enter_context(greeted(tmp_path / "socket"))
        quick = clients.enter_context(greeted(tmp_path / "socket"))
        slow.sendall(b"flood\nafter\n")
        assert ask(quick, "meanwhile") == "meanwhile"
        received = b""
        while not received.endswith(b"after\n"):
            received += slow.recv(1_000_000)
        assert received == b"x" * 8_000_000 + b"\nafter\n"


def test_no_descriptor_left_holds_up_nobody_who_is_connected(tmp_path: Path, listener: socket.socket) -> None:
    """The one who waits is tried again now and then, not at each turn of the loop, and served in the end."""
    path, asked = tmp_path / "socket", 300
    with echo(tmp_path, listener) as daemon, greeted(path) as client:
        worker = int(ask(client, "pid"))
        used = {int(one.name) for one in Path(f"/proc/{worker}/fd").iterdir()}
        free = next(number for number in itertools.count() if number not in used)
        before = resource.prlimit(worker, resource.RLIMIT_NOFILE)
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (free, before[1]))
        with connect(path) as waiting:
            daemon.wait_log("cannot accept a connection")
            for number in range(asked):
                assert ask(client, f"still here {number}") == f"still here {number}"
            assert daemon.log.count("cannot accept a connection") < asked // 2
            resource.prlimit(worker, resource.RLIMIT_NOFILE, before)
            assert read_line(waiting) == "hello"
        assert daemon.stop() == 0
