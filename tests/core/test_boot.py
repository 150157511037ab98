"""What every daemon starts from, on one that speaks no protocol of Postfix's and has a loop of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.core.running import ROOT, Running, ask, connect, listening
from tests.core.stores import Store, make_store


def arguments(store: Store, *settings: str) -> list[str]:
    listed = ["-m", "tests.core.web_daemon", "--config", str(store.config)]
    for setting in ("policy.workers=2", *settings):
        listed += ["--set", setting]
    return listed


def refused(store: Store, *settings: str, check: str = "") -> str:
    """Return why the daemon does not start, or why its check fails."""
    command = [sys.executable, *arguments(store, *settings), *filter(None, [check])]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 4, run.stderr
    assert run.stdout == ""
    return run.stderr


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path)


def test_it_serves_from_the_moment_it_says_so_and_drains_on_sigterm(store: Store, tmp_path: Path) -> None:
    with (
        listening(tmp_path / "socket") as listener,
        Running(arguments(store), tmp_path, listener=listener) as running,
        connect(tmp_path / "socket") as client,
    ):
        assert ask(client, "alice") == "ALICE 1"
        assert ask(client, "nobody") == "NOBODY 0"
        assert running.stop() == 0
        assert [line for line in running.log.splitlines() if "event=stopped" in line]


def test_a_socket_that_is_not_handed_over_is_bound_before_it_is_ready(store: Store, tmp_path: Path) -> None:
    address = tmp_path / "own"
    with Running(arguments(store, f"policy.listen=unix:{address}"), tmp_path), connect(address) as client:
        assert ask(client, "alice") == "ALICE 1"


def test_a_worker_that_serves_nobody_is_replaced(store: Store, tmp_path: Path) -> None:
    with (
        listening(tmp_path / "socket") as listener,
        Running(arguments(store, "policy.hang_seconds=1"), tmp_path, listener=listener) as running,
        connect(tmp_path / "socket") as client,
    ):
        client.sendall(b"hang\n")
        running.wait_log("worker hangs, replacing it")
        with connect(tmp_path / "socket") as other:
            assert ask(other, "alice") == "ALICE 1"


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("policy.listen=tcp:25", "'tcp:25' is not an address to listen on"),
        ("policy.metrics_listen=25", "'25' is not an address to listen on"),
        ("keys.directory=/nowhere", "/nowhere"),
        ("policy.bounce_ports=26", "nothing is to be had on port 26"),
        ("policy.workers=none", "policy.workers"),
        ("policy.workers", "expected SECTION.FIELD=VALUE"),
    ],
)
def test_what_cannot_be_used_ends_it_before_it_serves(store: Store, setting: str, text: str) -> None:
    said = refused(store, setting)
    assert said.startswith("gatepost-web: ")
    assert text in said


def test_a_check_finds_what_would_end_the_start(store: Store) -> None:
    """A reload drains the daemon once the check has passed."""
    assert "'25' is not an address" in refused(store, "policy.metrics_listen=25", check="--check")


def test_a_check_tells_that_all_is_well_and_listens_nowhere(store: Store, tmp_path: Path) -> None:
    address = tmp_path / "own"
    command = [sys.executable, *arguments(store, f"policy.listen=unix:{address}"), "--check"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout == "gatepost-web: the configuration is good\n"
    assert not address.exists()
