"""Waiting for a server of the benchmark's own to be there."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

_SECONDS = 20.0


def wait_for(socket: Path, server: subprocess.Popen[bytes]) -> None:
    """Wait until a server has made its socket. Raises RuntimeError when it ends before, or takes too long."""
    deadline = time.monotonic() + _SECONDS
    while not socket.exists():
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{socket}: the server did not start: {server.args!r}")
        time.sleep(0.02)
