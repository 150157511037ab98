"""Messages to the service manager."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from gatepost_core.serving import notify


@pytest.mark.parametrize("abstract", [False, True])
def test_readiness_reaches_the_manager_by_either_kind_of_address(
    abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"\0gatepost-notify-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        monkeypatch.setenv("NOTIFY_SOCKET", address.replace("\0", "@"))
        assert notify.ready()
        assert manager.recv(4096).decode().split("\n") == ["READY=1", f"MAINPID={os.getpid()}"]


def test_nothing_is_sent_and_nothing_fails_without_a_manager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify.ready()
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    assert not notify.stopping()


@pytest.mark.parametrize(
    ("microseconds", "pid", "seconds"),
    [("3000000", "", 1.5), ("3000000", "1", None), ("", "", None), ("0", "", None), ("soon", "", None)],
)
def test_the_watchdog_is_fed_twice_in_the_time_allowed(
    microseconds: str, pid: str, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", microseconds)
    monkeypatch.setenv("WATCHDOG_PID", pid)
    assert notify.watchdog_interval() == seconds
