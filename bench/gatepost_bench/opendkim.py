"""opendkim as the reference: signs RSA-2048 on a UNIX socket, for a private Postfix without Gatepost."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gatepost_core.postfix import Parameter

_PROGRAM = "/usr/sbin/opendkim"
_START_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Signer:
    """A running opendkim: its process id and where Postfix finds it."""

    pid: int
    socket: Path

    @property
    def parameters(self) -> list[Parameter]:
        """The main.cf parameters that have Postfix use it."""
        return [
            Parameter("smtpd_milters", f"unix:{self.socket}", "benchmark"),
            Parameter("milter_default_action", "tempfail", "benchmark"),
        ]


def installed() -> bool:
    """Say whether there is an opendkim to compare with (Debian package opendkim)."""
    return shutil.which(_PROGRAM) is not None


@contextmanager
def running() -> Iterator[Signer]:
    """Run opendkim with a key of its own. Raises RuntimeError with its words if it does not start."""
    with tempfile.TemporaryDirectory(prefix="gatepost-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        key, socket, config = folder / "key.pem", folder / "socket", folder / "opendkim.conf"
        subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
        lines = (
            "Mode s",
            "Domain example.test",
            "Selector bench",
            f"KeyFile {key}",
            f"Socket local:{socket}",
            "UMask 000",
            "Canonicalization relaxed/relaxed",
            "OversignHeaders From",
            "RequireSafeKeys no",
            "Syslog no",
        )
        config.write_text("\n".join(lines) + "\n", encoding="ascii")
        child = subprocess.Popen([_PROGRAM, "-f", "-x", str(config)], stderr=subprocess.PIPE)
        try:
            _wait(child, socket)
            yield Signer(child.pid, socket)
        finally:
            child.terminate()
            child.communicate()


def _wait(child: subprocess.Popen[bytes], socket: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not socket.exists():
        if child.poll() is not None or time.monotonic() > deadline:
            child.terminate()
            raise RuntimeError(f"opendkim did not start: {child.communicate()[1].decode(errors='replace')}")
        time.sleep(0.05)
