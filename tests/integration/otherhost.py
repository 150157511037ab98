"""A host beside this one for programs that cannot be here: Debian's packages that take Postfix's place.

It sees this host's files through an overlay (overlayfs, unshare(1)), and what it writes is gone with it. It
has a process and a mount namespace of its own, and this host's network. Needs root.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import TracebackType

_SETUP = """
set -e
mount -t tmpfs tmpfs "$1"
cd "$1"
mkdir up work root
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" root
mount -t proc proc root/proc
mount --rbind /dev root/dev
mount -t tmpfs tmpfs root/run
printf '#!/bin/sh\\nexit 101\\n' >root/usr/sbin/policy-rc.d
chmod 755 root/usr/sbin/policy-rc.d
echo ready
exec cat
"""


class OtherHost:
    """The host. Use as a context manager; ``folder`` is empty and stays so."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self._folder = folder

    def __enter__(self) -> OtherHost:
        apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        self._holder = subprocess.Popen(
            [*apart, "sh", "-c", _SETUP, "sh", str(self._folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != "ready\n":
            _, said = self._holder.communicate()
            raise AssertionError(f"no host beside this one: {said}")
        pid = self._holder.pid
        self._first = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The first process of the namespace ends with its input, and everything in it with that.
        self._holder.communicate()

    def run(self, script: str, text: str = "", *, seconds: float = 120) -> str:
        """Run a shell script as root; returns what it printed, which a failure has in its text."""
        inside = ["nsenter", "--target", self._first, "--mount", "--pid", "chroot", str(self.root)]
        done = subprocess.run(
            [*inside, "sh", "-ec", script], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", check=False, timeout=seconds,
        )  # fmt: skip
        assert done.returncode == 0, f"{script}\n{done.stdout}"
        return done.stdout

    def install(self, package: str) -> None:
        """Install a Debian package; what it conflicts with goes."""
        install = f"apt-get install -y -q --no-install-recommends {package} </dev/null"
        self.run(f"export DEBIAN_FRONTEND=noninteractive; {install} || {{ apt-get update -q; {install}; }}")
