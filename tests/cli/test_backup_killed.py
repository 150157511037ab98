"""A backup that is killed leaves no copy of a database behind, or the next start removes it."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from .command import Gatepost

SCRATCH = ".gatepost-scratch-*"


@pytest.fixture
def large(gatepost: Gatepost) -> Gatepost:
    """A gateway whose journal takes a moment to copy."""
    with closing(sqlite3.connect(gatepost.folder / "store" / "journal.db")) as connection, connection:
        connection.execute("CREATE TABLE filler (data BLOB)")
        connection.executemany("INSERT INTO filler VALUES (randomblob(1000000))", [()] * 30)
    return gatepost


def left(gatepost: Gatepost) -> list[Path]:
    return sorted(gatepost.folder.rglob(SCRATCH))


def stopped_at_work(gatepost: Gatepost, number: int) -> int:
    """Signal a backup while it has copies of databases; return its exit status."""
    words = ["--config", str(gatepost.config), "backup", "create", str(gatepost.folder / "out.tar.gz")]
    for _ in range(20):
        with subprocess.Popen(
            # A shell that put the tests in the background would have them ignore SIGINT.
            ["env", "--default-signal=INT", sys.executable, "-m", "gatepost_cli", *words],
            stderr=subprocess.DEVNULL,
        ) as process:
            while process.poll() is None:
                if any(path.stat().st_size for path in gatepost.folder.glob(f"store/{SCRATCH}/*.db")):
                    process.send_signal(number)
                    process.wait(60)
                    break
        (gatepost.folder / "out.tar.gz").unlink(missing_ok=True)
        if process.returncode != 0:
            return process.returncode
    raise AssertionError("the backup was always done before it could be stopped")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_backup_that_is_told_to_stop_leaves_nothing(large: Gatepost, number: int) -> None:
    assert stopped_at_work(large, number) == 128 + number
    assert left(large) == []
    assert not list(large.folder.glob("out*"))


@pytest.mark.parametrize(
    "start",
    [("backup", "create", "next.tar.gz"), ("store", "upgrade"), ("daemon",)],
    ids=lambda words: words[0],
)
def test_what_a_killed_backup_left_goes_with_the_next_start(large: Gatepost, start: tuple[str, ...]) -> None:
    assert stopped_at_work(large, signal.SIGKILL) == -signal.SIGKILL
    assert left(large)
    if start == ("daemon",):
        run_daemon(large)
    else:
        words = [str(large.folder / word) if word.endswith(".gz") else word for word in start]
        assert large(*words).code == 0
    assert [path for path in left(large) if path.parent.name == "store"] == []


def run_daemon(gatepost: Gatepost) -> None:
    """Start gatepost-policy and stop it once it is ready."""
    socket = f"policy.listen=unix:{gatepost.folder}/socket"
    words = ["-m", "gatepost_policy.main", "--config", str(gatepost.config), "--set", socket]
    with subprocess.Popen([sys.executable, *words], stderr=subprocess.PIPE, text=True) as daemon:
        assert daemon.stderr is not None
        for line in daemon.stderr:
            if "event=ready" in line:
                daemon.send_signal(signal.SIGTERM)


def test_a_backup_leaves_another_one_s_work_alone(large: Gatepost) -> None:
    """What is being worked in is locked."""
    words = ["--config", str(large.config), "backup", "create", str(large.folder / "one.tar.gz")]
    with subprocess.Popen([sys.executable, "-m", "gatepost_cli", *words]) as process:
        assert large("backup", "create", str(large.folder / "other.tar.gz")).code == 0
        assert process.wait(120) == 0
    for name in ("one", "other"):
        assert large("backup", "verify", str(large.folder / f"{name}.tar.gz")).code == 0
