"""Starts a real daemon in a test and waits for its READY=1, as systemd would."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
# A machine that does other work, too, may take long; nobody waits where all is well.
PATIENCE = 60.0
# What systemd does between fork and exec: the socket as descriptor 3, and for whom it is (sd_listen_fds(3)).
_HAND_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""


def listening(path: Path) -> socket.socket:
    """Return a socket as systemd would bind it for a daemon."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1024)
    return listener


class Running:
    """A daemon, its log, and what it told the service manager."""

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        *,
        listener: socket.socket | None = None,
        environ: dict[str, str] | None = None,
        stderr: int | None = None,
    ) -> None:
        self.folder = folder
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notices.bind(f"\0gatepost-test-{os.getpid()}-{id(self)}")
        variables = {
            **os.environ,
            "NOTIFY_SOCKET": "@" + self._notices.getsockname()[1:].decode(),
            "PYTHONUNBUFFERED": "1",
            **(environ or {}),
        }
        command = [sys.executable, *arguments]
        if listener is not None:
            command = [sys.executable, "-S", "-c", _HAND_OVER, str(listener.fileno()), *command]
        self._log_file = (folder / f"log-{id(self)}").open("w+b")
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=variables,
            stderr=self._log_file if stderr is None else stderr,
            pass_fds=(listener.fileno(),) if listener is not None else (),
        )

    def __enter__(self) -> Running:
        self.wait_notice("READY=1")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait_notice(self, wanted: str) -> None:
        """Wait for an assignment in a notice; fail with the log when the daemon ends before."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if select.select([self._notices], [], [], 0.1)[0]:
                if wanted in self._notices.recv(4096).decode().split("\n"):
                    return
            elif self.process.poll() is not None:
                break
        self.stop()
        raise AssertionError(f"no {wanted}; the log says:\n{self.log}")

    def notices(self) -> list[str]:
        """Take the assignments that have arrived and that nobody waited for."""
        taken: list[str] = []
        while select.select([self._notices], [], [], 0)[0]:
            taken += self._notices.recv(4096).decode().split("\n")
        return taken

    def wait_log(self, text: str, times: int = 1) -> str:
        """Wait until a text stands so often in the log; return the log."""
        until(
            lambda: self.log.count(text) >= times,
            lambda: f"{text!r} {times} times in the log:\n{self.log}",
            PATIENCE,
        )
        return self.log

    @property
    def log(self) -> str:
        """Everything logged so far."""
        return (
            Path(self._log_file.name).read_text(encoding="utf-8") if not self._log_file.closed else self._last
        )

    def terminate(self) -> None:
        """Send SIGTERM to the parent."""
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """End the daemon and return its exit status."""
        if self.process.poll() is None:
            self.terminate()
        status = self.process.wait(PATIENCE)
        if not self._log_file.closed:
            self._last = self.log
            self._log_file.close()
            self._notices.close()
        return status


def events(
    config: Path,
    folder: Path,
    *settings: str,
    listener: socket.socket | None = None,
    environ: dict[str, str] | None = None,
) -> Running:
    """Return gatepost-events; without ``listener`` it binds ``events.listen``."""
    arguments = ["-m", "gatepost_events.main", "--config", str(config)]
    for setting in settings:
        arguments += ["--set", setting]
    return Running(arguments, folder, listener=listener, environ=environ)


def connect(path: Path) -> socket.socket:
    """Return a client's connection with a time limit on every read."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(PATIENCE)
    client.connect(str(path))
    return client


def ask(client: socket.socket, text: str) -> str:
    """Send a line and return the line that answers it; empty when the server hung up."""
    client.sendall(text.encode() + b"\n")
    return read_line(client)


def read_line(client: socket.socket) -> str:
    """Return the next line, without its end; empty when the server hung up."""
    line = b""
    while not line.endswith(b"\n"):
        piece = client.recv(1)
        if not piece:
            break
        line += piece
    return line.decode().rstrip("\n")
