"""Where the files of a private stack are.

``var`` holds what people look at: ``server.json``, ``ca.pem``, ``gatepost.toml`` and the
Maildir ``delivered/``. Everything else is in ``runtime``: below ``var`` when Postfix can
work there, otherwise in a directory of its own under /var/tmp. Postfix's processes run as
user postfix, so every directory above theirs must let that user through, and a UNIX
socket's name has at most 107 bytes (unix(7)).
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

_SOCKET_NAME_LIMIT = 107
_LONGEST_SOCKET = Path("queue/public/gatepost-forward")
_PREFIX = "gatepost-"
_TEMPORARY = Path("/var/tmp")  # noqa: S108 a fresh directory is made in it by mkdtemp


@dataclass(frozen=True, slots=True)
class Layout:
    """The places of one stack. ``prepare`` makes the directories."""

    var: Path
    runtime: Path

    @property
    def temporary(self) -> bool:
        """Whether ``runtime`` is outside ``var`` and goes at stop."""
        return not self.runtime.is_relative_to(self.var)

    @property
    def delivered(self) -> Path:
        """The sink's Maildir."""
        return self.var / "delivered"

    @property
    def settings_file(self) -> Path:
        """The daemons' and the command line's settings."""
        return self.var / "gatepost.toml"

    @property
    def server_file(self) -> Path:
        """What a client needs, as JSON: written once everything is ready."""
        return self.var / "server.json"

    @property
    def ca_file(self) -> Path:
        """The authority that clients verify the server with."""
        return self.var / "ca.pem"

    @property
    def postfix(self) -> Path:
        """Postfix's configuration directory."""
        return self.runtime / "postfix"

    @property
    def queue(self) -> Path:
        """Postfix's queue directory."""
        return self.runtime / "queue"

    @property
    def data(self) -> Path:
        """Postfix's data directory."""
        return self.runtime / "data"

    @property
    def sockets(self) -> Path:
        """The daemons' sockets."""
        return self.queue / "gatepost"

    @property
    def logs(self) -> Path:
        """One log file for Postfix and one a daemon."""
        return self.runtime / "log"

    @property
    def maillog(self) -> Path:
        """Postfix's log."""
        return self.logs / "postfix.log"

    @property
    def notices(self) -> Path:
        """Sockets on which daemons tell that they are ready."""
        return self.runtime / "notify"

    @property
    def store(self) -> Path:
        """Databases and keys."""
        return self.runtime / "lib"

    @property
    def tls(self) -> Path:
        """The server's certificate and key."""
        return self.runtime / "tls"

    def prepare(self) -> None:
        """Make the directories, each for those who need it: root, and Postfix where it must write."""
        user, group = pwd.getpwnam("postfix"), grp.getgrnam("postfix")
        for directory in (self.postfix, self.queue, self.data, self.sockets):
            directory.mkdir(mode=0o755, parents=True)
        for directory in (self.logs, self.notices, self.store, self.tls):
            directory.mkdir(mode=0o700)
        self.maillog.touch(mode=0o600)  # gatepost-events follows it, and starts before Postfix
        os.chown(self.data, user.pw_uid, group.gr_gid)
        self.sockets.chmod(0o750)
        os.chown(self.sockets, 0, group.gr_gid)
        # Mail, which may be somebody's: for whoever started the stack.
        self.delivered.mkdir(mode=0o700)
        for part in ("tmp", "new", "cur"):
            (self.delivered / part).mkdir(mode=0o700)

    def clear(self) -> None:
        """Remove the store, the sink and the rest of a run."""
        shutil.rmtree(self.delivered, ignore_errors=True)
        for file in (self.settings_file, self.server_file, self.ca_file):
            file.unlink(missing_ok=True)
        self._remove_runtime()

    def close(self) -> None:
        """Remove what must not outlive the stack; delivered mail stays for whoever wants to read it."""
        self.server_file.unlink(missing_ok=True)
        if self.temporary:
            self._remove_runtime()

    def _remove_runtime(self) -> None:
        shutil.rmtree(self.runtime, ignore_errors=True)
        _pointer(self.var).unlink(missing_ok=True)


def plan(var: Path) -> Layout:
    """Choose the places for a stack whose visible files are in ``var``, and empty them."""
    var.mkdir(parents=True, exist_ok=True)
    var = var.resolve()
    last(var).clear()
    runtime = var / "run"
    Layout(var, runtime).clear()
    fits = len(os.fsencode(runtime / _LONGEST_SOCKET)) <= _SOCKET_NAME_LIMIT
    if fits and _open_to_postfix(var):
        runtime.mkdir(mode=0o755)
    else:
        runtime = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_TEMPORARY))
        runtime.chmod(0o755)
        _pointer(var).write_text(f"{runtime}\n", encoding="utf-8")
    return Layout(var, runtime)


def last(var: Path) -> Layout:
    """Return the places of the stack that ran before in ``var``; they may be gone."""
    var = var.resolve()
    try:
        runtime = Path(_pointer(var).read_text(encoding="utf-8").strip())
    except OSError:
        return Layout(var, var / "run")
    # Only what plan() makes is ever removed, whatever the file says.
    ours = runtime.parent == _TEMPORARY and runtime.name.startswith(_PREFIX) and not runtime.is_symlink()
    return Layout(var, runtime if ours else var / "run")


def _pointer(var: Path) -> Path:
    """The file that names a runtime directory outside ``var``."""
    return var / "runtime"


def _open_to_postfix(directory: Path) -> bool:
    """Say whether user postfix may pass through ``directory`` and all above it."""
    user = pwd.getpwnam("postfix")
    for place in (directory, *directory.parents):
        status = place.stat()
        if status.st_uid == user.pw_uid:
            allowed = status.st_mode & 0o100
        elif status.st_gid == user.pw_gid:
            allowed = status.st_mode & 0o010
        else:
            allowed = status.st_mode & 0o001
        if not allowed:
            return False
    return True
