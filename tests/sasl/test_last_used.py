"""Last use of credentials: in the spool as soon as a login was answered, whatever the journal does."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime
from pathlib import Path

from gatepost_core.domain import spooled
from gatepost_core.settings import SpoolSettings
from gatepost_core.spool import read
from gatepost_sasl.backends.last_used import LastUsed
from tests.core.running import Running, listening
from tests.core.stores import make_store

from .test_daemon import login


def noted(folder: Path) -> list[spooled.Used]:
    return [spooled.read_used(one.content) for batch in read(folder, {}, 1000) for one in batch.entries]


def test_a_login_is_noted_with_its_time_and_address(tmp_path: Path) -> None:
    used = LastUsed(tmp_path, SpoolSettings(directory=tmp_path))
    used.record(7, "192.0.2.1", datetime(2026, 11, 27, 14, 55, 59, 123456, UTC))
    assert noted(tmp_path) == [spooled.Used(7, "2026-11-27 14:55:59.123456", "192.0.2.1")]
    used.close()


def test_a_login_is_noted_when_the_daemon_is_killed_right_after_its_answer(tmp_path: Path) -> None:
    """The journal is not there at all: nobody's login is refused for it, and none is forgotten."""
    store = make_store(tmp_path)
    for file in tmp_path.glob("journal.db*"):
        file.unlink()
    socket = tmp_path / "socket"
    arguments = ["-m", "gatepost_sasl.main", "--config", str(store.config), "--set", "sasl.workers=1"]
    with listening(socket) as listener, Running(arguments, tmp_path, listener=listener) as daemon:
        for number in range(1, 6):
            assert login(socket, "alice") == "OK\t1\tuser=alice"
            parent = daemon.process.pid
            [worker] = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
            os.kill(int(worker), signal.SIGKILL)
            daemon.wait_log("worker died", number)
            assert len(noted(tmp_path / "spool" / "sasl")) == number
            daemon.wait_log("respawn_in=", number)
