"""Waiting for a server of the benchmark's own to be there."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

_SECONDS = 20.0


def wait_for_port(port: int, server: subprocess.Popen[bytes]) -> None:
    """Wait until a server listens on loopback. Raises RuntimeError when it ends before, or takes too long."""
    deadline = time.monotonic() + _SECONDS
    while True:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"port {port}: the server did not start: {server.args!r}")
        time.sleep(0.02)


def wait_for(path: Path, server: subprocess.Popen[bytes]) -> None:
    """Wait until a server has made its socket. Raises RuntimeError when it ends before, or takes too long."""
    deadline = time.monotonic() + _SECONDS
    while not path.exists():
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{path}: the server did not start: {server.args!r}")
        time.sleep(0.02)
