"""Child processes that end with their parent, and how a socket is handed to one.

``setpriv --pdeathsig`` asks the kernel (prctl(2), PR_SET_PDEATHSIG) to send SIGTERM when
the thread that started the child ends, so a killed ``script/server`` leaves nothing behind.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_TIED = ("setpriv", "--pdeathsig", "TERM", "--")
# sd_listen_fds(3): descriptors from 3 on, and the id of the process they are meant for.
_HANDED_OVER = ("sh", "-c", 'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@" 3<&0 0</dev/null', "sh")


class StackError(Exception):
    """The stack cannot start or go on; the text tells people what to do."""


def start(
    arguments: Sequence[str],
    log: Path,
    listener: socket.socket | None = None,
    environ: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a child tied to this thread; its output is appended to ``log``.

    ``listener`` is handed over as systemd does it, LISTEN_FDS=1. The child gets a session of its
    own, so that Ctrl-C reaches only us, and we stop things in order.
    """
    handed_over = _HANDED_OVER if listener else ()
    with log.open("ab") as output:
        return subprocess.Popen(
            [*_TIED, *handed_over, *arguments],
            stdin=listener.fileno() if listener else subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**_own_environment(), **(environ or {})},
            start_new_session=True,
        )


def _own_environment() -> dict[str, str]:
    # GATEPOST_* would override the settings file of the stack.
    return {name: value for name, value in os.environ.items() if not name.startswith("GATEPOST_")}


def stop(child: subprocess.Popen[bytes], seconds: float = 30.0) -> None:
    """End a child by SIGTERM, and by SIGKILL when it is still there after ``seconds``."""
    with suppress(ProcessLookupError):
        child.terminate()
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def tail(log: Path, lines: int = 15) -> str:
    """Return the last lines of a log file, for an error's text."""
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
