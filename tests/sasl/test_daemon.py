"""gatepost-sasl as it runs: bad configuration, a store that comes late, a worker killed, a restart."""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gatepost_core.domain import State
from tests.core.running import PATIENCE, ROOT, Running, connect, listening, read_line
from tests.core.stores import PASSWORD, Store, make_store

PEER = "service=smtp\tnologin\tlip=192.0.2.1\trip=198.51.100.7\tsecured"


def arguments(store: Store, *settings: str) -> list[str]:
    listed = ["-m", "gatepost_sasl.main", "--config", str(store.config)]
    for setting in ("sasl.workers=1", *settings):
        listed += ["--set", setting]
    return listed


def login(path: Path, username: str, password: str = PASSWORD) -> str:
    """Log in over a connection of its own and return the answer; empty when the server hung up."""
    response = base64.b64encode(f"\0{username}\0{password}".encode()).decode()
    with connect(path) as client:
        client.sendall(f"VERSION\t1\t0\nCPID\t1\nAUTH\t1\tPLAIN\t{PEER}\tresp={response}\n".encode())
        while (line := read_line(client)) != "DONE":
            assert line
        return read_line(client)


def test_a_login_is_logged_in_one_line_without_its_password(store: Store, tmp_path: Path) -> None:
    with (
        listening(tmp_path / "socket") as listener,
        Running(arguments(store), tmp_path, listener=listener) as daemon,
    ):
        assert login(tmp_path / "socket", "alice") == "OK\t1\tuser=alice"
        log = daemon.wait_log("event=login")
        (line,) = [line for line in log.splitlines() if "event=login" in line]
        assert "result=granted user=alice ip=198.51.100.7 mechanism=PLAIN" in line
        assert PASSWORD not in log


def test_a_refusal_takes_as_long_whatever_was_wrong(store: Store, tmp_path: Path) -> None:
    with (
        listening(tmp_path / "socket") as listener,
        Running(arguments(store, "sasl.failure_delay=0.3"), tmp_path, listener=listener),
    ):
        for username, password in (("alice", "wrong"), ("nobody", "wrong"), ("off", PASSWORD)):
            began = time.monotonic()
            assert login(tmp_path / "socket", username, password).startswith("FAIL\t1\t")
            assert 0.3 <= time.monotonic() - began < 5


def test_a_credential_that_is_disabled_meanwhile_is_refused_at_once(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    with listening(tmp_path / "socket") as listener, Running(arguments(store), tmp_path, listener=listener):
        assert login(tmp_path / "socket", "alice").startswith("OK")
        store.set_state("alice", State.DISABLED)
        assert login(tmp_path / "socket", "alice").startswith("FAIL")
        store.set_state("alice", State.ACTIVE)
        assert login(tmp_path / "socket", "alice").startswith("OK")


def test_without_a_store_nobody_is_answered_and_once_it_is_there_logins_work(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    database, aside = tmp_path / "directory.db", tmp_path / "aside.db"
    database.rename(aside)
    with (
        listening(tmp_path / "socket") as listener,
        Running(arguments(store), tmp_path, listener=listener) as daemon,
    ):
        assert login(tmp_path / "socket", "alice") == ""
        assert "result=unavailable" in daemon.wait_log("event=login")
        aside.rename(database)
        assert login(tmp_path / "socket", "alice") == "OK\t1\tuser=alice"


def test_a_store_that_is_lost_while_serving_is_temporary_too(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    with listening(tmp_path / "socket") as listener, Running(arguments(store), tmp_path, listener=listener):
        assert login(tmp_path / "socket", "alice").startswith("OK")
        (tmp_path / "directory.db").rename(tmp_path / "aside.db")
        assert login(tmp_path / "socket", "alice") == ""
        assert login(tmp_path / "socket", "nobody") == ""
        (tmp_path / "aside.db").rename(tmp_path / "directory.db")
        assert login(tmp_path / "socket", "alice").startswith("OK")


def test_a_killed_worker_is_replaced_and_serves(store: Store, tmp_path: Path) -> None:
    with (
        listening(tmp_path / "socket") as listener,
        Running(arguments(store), tmp_path, listener=listener) as daemon,
    ):
        with connect(tmp_path / "socket") as client:
            spid = ""
            while not spid.startswith("SPID"):
                spid = read_line(client)
            os.kill(int(spid.split("\t")[1]), signal.SIGKILL)
        assert login(tmp_path / "socket", "alice").startswith("OK")
        daemon.wait_log("signal=SIGKILL")


def test_sigterm_in_the_delay_of_a_refusal_still_sends_it(store: Store, tmp_path: Path) -> None:
    with (
        listening(tmp_path / "socket") as listener,
        Running(arguments(store, "sasl.failure_delay=0.5"), tmp_path, listener=listener) as daemon,
        connect(tmp_path / "socket") as client,
    ):
        client.sendall(f"VERSION\t1\t0\nAUTH\t1\tPLAIN\t{PEER}\tresp=AGEAYg==\n".encode())
        daemon.wait_log("result=denied")
        daemon.terminate()
        while (line := read_line(client)) != "DONE":
            assert line
        assert read_line(client).startswith("FAIL\t1\t")
        assert client.recv(10) == b""
        assert daemon.stop() == 0


def test_metrics_count_logins_by_result(store: Store, tmp_path: Path) -> None:
    metrics = f"sasl.metrics_listen=unix:{tmp_path}/metrics"
    with (
        listening(tmp_path / "socket") as listener,
        Running(arguments(store, metrics, "sasl.failure_delay=0"), tmp_path, listener=listener),
    ):
        login(tmp_path / "socket", "alice")
        login(tmp_path / "socket", "alice", "wrong")
        limit = time.monotonic() + PATIENCE
        while (counts := counted(tmp_path / "metrics"))["denied"] != "1.0":  # counted once a second
            assert time.monotonic() < limit
    assert (counts["granted"], counts["denied"], counts["unavailable"]) == ("1.0", "1.0", "0.0")


def counted(path: Path) -> dict[str, str]:
    """Return the numbers of PLAIN logins by result."""
    with connect(path) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        shown = b"".join(iter(lambda: client.recv(65536), b"")).decode()
    return dict(re.findall(r'decisions_total\{mechanism="PLAIN",result="(\w+)"\} (\S+)', shown))


def test_the_daemon_binds_its_own_socket_and_can_be_started_again(store: Store, tmp_path: Path) -> None:
    for _ in range(2):
        with Running(arguments(store, f"sasl.listen=unix:{tmp_path}/own"), tmp_path) as daemon:
            assert login(tmp_path / "own", "alice").startswith("OK")
            assert daemon.stop() == 0


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("sasl.listen=/run/sasl", "'/run/sasl' is not an address to listen on"),
        ("sasl.lsten=unix:/x", "unknown setting; did you mean sasl.listen?"),
        ("sasl.failure_delay=soon", "sasl.failure_delay = 'soon'"),
        ("sasl.mechanisms=CRAM-MD5", "unknown mechanism 'CRAM-MD5'; known are PLAIN, LOGIN, SCRAM-SHA-256"),
        ("keys.directory=/nonexistent", "no password key"),
        ("nonsense", "expected SECTION.FIELD=VALUE"),
    ],
)
def test_a_bad_configuration_ends_with_status_4_and_a_text_that_names_it(
    setting: str, says: str, store: Store
) -> None:
    command = [sys.executable, *arguments(store, setting), "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_good_configuration_is_checked_without_serving(store: Store) -> None:
    command = [sys.executable, *arguments(store), "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "gatepost-sasl: the configuration is good\n")
