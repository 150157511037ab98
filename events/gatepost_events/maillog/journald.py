"""journald's journal, followed: journalctl(1) as a child, which prints entries as JSON with their cursors."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import time
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Final

from gatepost_events.maillog.lines import LINE_MOST, Line, Reader

PROGRAM: Final = "/usr/bin/journalctl"
MACHINE: Final = Path("/etc/machine-id")
_PIECE: Final = 262_144
# An entry has some twenty fields beside its text.
_ENTRY_MOST: Final = 4 * LINE_MOST
# How long the child may stay silent at its end before it is started anew.
_AGAIN: Final = 1.0


class JournalLog:
    """What Postfix's programs wrote to the journal. ``options``: more words for journalctl.

    Anew: with what was written at ``since`` or later (seconds since 1970). ``lost``: lines that journald says
    it dropped come as entries of their own; so this counts cursors that were not found any more. ``machine``:
    whose entries are read (machine-id(5)); this host's by default.
    """

    def __init__(
        self,
        reader: Reader,
        position: str,
        since: float,
        options: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
        machine: str = "",
    ) -> None:
        self._reader = reader
        self._machine = machine
        self._cursor = json.loads(position)["cursor"] if position else ""
        self._since = since
        self._options = list(options)
        self._clock = clock
        self._child: subprocess.Popen[bytes] | None = None
        self._rest = b""
        self._again = 0.0
        self._users = Speakers(_users, clock)
        self.lost = 0
        self.more = False

    @property
    def position(self) -> str:
        """The last entry that ``read`` returned."""
        return json.dumps({"cursor": self._cursor})

    def read(self) -> list[Line | int]:
        """Return lines that came since, and how many journald dropped between them. Raises OSError."""
        if self._child is None:
            if self._clock() < self._again:
                return []
            self._start()
        assert self._child is not None  # noqa: S101 - just started
        assert self._child.stdout is not None  # noqa: S101
        try:
            piece = os.read(self._child.stdout.fileno(), _PIECE)
        except BlockingIOError:
            self.more = False
            return []
        self.more = len(piece) == _PIECE
        if not piece:
            self._ended()
        return self._entries(piece)

    def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is not None:
            # Workers ignore SIGTERM, and so does what they start; journalctl has nothing to put away.
            child.kill()
            child.communicate()

    def _start(self) -> None:
        begin = (
            [f"--after-cursor={self._cursor}"] if self._cursor else [f"--since=@{max(0, int(self._since))}"]
        )
        machine = f"_MACHINE_ID={self._machine or MACHINE.read_text(encoding='ascii').strip()}"
        # mail (RFC 5424 section 6.2.1); what journald itself says of lines that it dropped has another one.
        wanted = ["SYSLOG_FACILITY=2", machine, "+", "_TRANSPORT=driver", machine]
        command = [
            PROGRAM,
            "--output=json",
            "--all",
            "--no-pager",
            "--quiet",
            "--follow",
            "--no-tail",
            # Since systemd 250, --follow shows the present boot alone, and what was written before a shutdown
            # would never be read; only --merge keeps it from that. The match leaves out other machines again.
            "--merge",
            *begin,
        ]
        self._child = subprocess.Popen(
            [*command, *self._options, *wanted],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._child.stdout is not None  # noqa: S101
        os.set_blocking(self._child.stdout.fileno(), False)
        self._rest = b""

    def _ended(self) -> None:
        child, self._child = self._child, None
        assert child is not None  # noqa: S101
        _, said = child.communicate()
        self._again = self._clock() + _AGAIN
        text = said.decode("utf-8", "replace").strip()[-500:]
        raise OSError(f"journalctl ended with status {child.returncode}: {text or 'it said nothing'}")

    def _entries(self, piece: bytes) -> list[Line | int]:
        *whole, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > _ENTRY_MOST:
            raise OSError(f"journalctl printed an entry of more than {_ENTRY_MOST} bytes")
        found: list[Line | int] = []
        for text in whole:
            try:
                self._cursor, line = self._reader.read_json(text.decode("utf-8", "replace"), self._users)
            except ValueError:
                continue
            if line is not None:
                found.append(line)
        return found


def readable() -> bool:
    """Say whether there is a journal of this host that this process may read."""
    for folder in (Path("/var/log/journal"), Path("/run/log/journal")):
        try:
            machines = [one for one in folder.iterdir() if one.is_dir()]
        except OSError:
            continue
        files = [file for one in machines for file in one.glob("system*.journal")]
        if any(os.access(file, os.R_OK) for file in files):
            return os.access(PROGRAM, os.X_OK)
    return False


class Speakers(Container[str]):
    """The users, by number as text, whose processes may speak for Postfix.

    Whoever is none is looked up again, once a second at most: Postfix may be installed after this daemon.
    """

    def __init__(self, look: Callable[[], set[int]], clock: Callable[[], float]) -> None:
        self._look = look
        self._clock = clock
        self._known: set[str] = set()
        self._again = clock()

    def __contains__(self, user: object) -> bool:
        """Say whether a user is one of them."""
        if user not in self._known and self._clock() >= self._again:
            self._again = self._clock() + _AGAIN
            self._known = {str(number) for number in self._look()}
        return user in self._known


def _users() -> set[int]:
    """Return the users as whom Postfix's programs run: root, and its own."""
    own = [user.pw_uid for user in pwd.getpwall() if user.pw_name == "postfix"]
    return {0, *own}
