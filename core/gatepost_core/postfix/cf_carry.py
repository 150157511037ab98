# Copyright: the Gatepost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Carrying a plan for main.cf and master.cf out: read, held against Postfix itself, put in place, remembered.

New files are read by postconf(1) before they land, and held to ``postfix check`` after, so that what
Postfix would not take leaves both as they were. Nothing is reloaded here. Faults are ``CarryError``, whose
text is for people; how programs are run and files put in place comes from outside, for a module of Ansible
has its own ways.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .cf_files import ConfigFile, port_of
from .cf_plan import Plan, State, TakenError

FILES = {"main": "main.cf", "master": "master.cf"}
_LISTEN = "0A"  # proc_pid_net(5): TCP_LISTEN
Ran = tuple[int, str, str]  # status, standard output, standard error


class CarryError(Exception):
    """What keeps a plan from being carried out; ``remarks`` are Postfix's own, where it made any."""

    def __init__(self, text: str, remarks: Iterable[str] = ()) -> None:
        super().__init__(text)
        self.remarks = list(remarks)


@dataclass(frozen=True)
class Carrier:
    """One configuration directory, and the file that remembers what was there before.

    ``run`` runs a program, ``write`` puts a text in a file's place at once, owner and mode as they were.
    """

    directory: Path
    state_file: Path
    run: Callable[[list[str]], Ran]
    write: Callable[[Path, str], None]
    scratch: str | None = None
    # What the command remembers, taken over by a role that comes after it.
    taken_over: Path | None = None

    def read(self, *, lacking: bool = False) -> dict[str, str]:
        """Return both files, by name. Raises CarryError.

        With ``lacking``, one that is not there counts as empty: Debian's answer "No configuration" leaves a
        Postfix with master.cf and without main.cf.
        """
        return {name: self._read(name, lacking) for name in FILES.values()}

    def plan(self, files: dict[str, str]) -> Plan:
        """Return a plan that changes nothing yet. Raises CarryError."""
        main, master = (ConfigFile.parse(kind, files[name]) for kind, name in FILES.items())
        return Plan(main, master, self.state())

    def default(self, name: str) -> str:
        """Return a parameter's value where main.cf says nothing of it."""
        status, out, said = self.run(["postconf", "-dh", name])
        if status:
            raise CarryError(f"postconf -dh {name}: {said.strip()}")
        return out.strip()

    def check_remarks(self, before: dict[str, str], after: dict[str, str]) -> None:
        """Let postconf(1) read the new files; what it says of them must have been so before."""
        known = self._remarks(before)
        new = [line for line in self._remarks(after) if line not in known]
        if new:
            raise CarryError("Postfix does not take the parameters; nothing was changed", new)

    def land(self, before: dict[str, str], after: dict[str, str]) -> None:
        """Write what changed, and put it back when ``postfix check`` finds it unusable. Raises CarryError."""
        changed = [name for name in after if after[name] != before[name]]
        for name in changed:
            self.write(self.directory / name, after[name])
        if not changed:
            return
        status, out, said = self.run(["postfix", "-c", str(self.directory), "check"])
        if status:
            for name in changed:
                self.write(self.directory / name, before[name])
            raise CarryError(
                "postfix check refuses the new settings; main.cf and master.cf are as before: "
                f"{said.strip() or out.strip()}"
            )

    def state(self) -> State:
        """Return what was remembered. Raises CarryError."""
        other = self.taken_over
        return read_state(other if other and not self.state_file.exists() else self.state_file)

    def remember(self, state: State) -> None:
        """Keep a state for root alone; nothing to remember leaves no file."""
        if self.taken_over:
            self.taken_over.unlink(missing_ok=True)
        if not any(state.entries.values()):
            self.state_file.unlink(missing_ok=True)
            return
        text = json.dumps({"entries": state.entries}, indent=1)
        if not self.state_file.exists() or self.state_file.read_text(encoding="utf-8") != text:
            self.state_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = self.state_file.with_suffix(".new")
            fresh.unlink(missing_ok=True)
            fresh.touch(mode=0o600)
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(self.state_file)

    def _read(self, name: str, lacking: bool) -> str:
        try:
            return (self.directory / name).read_text(encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            if lacking and isinstance(error, FileNotFoundError):
                return ""
            raise CarryError(f"{self.directory / name} cannot be read: {error.strerror}") from error

    def _remarks(self, texts: dict[str, str]) -> list[str]:
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            for name, text in texts.items():
                file = Path(folder) / name
                file.write_text(text, encoding="utf-8", errors="surrogateescape")
                # Postfix's programs wait for a file to settle that has just been changed.
                os.utime(file, (0, 0))
            lines: list[str] = []
            for option in ("-n", "-M", "-P"):
                status, _, said = self.run(["postconf", "-c", folder, option])
                lines += said.replace(folder, str(self.directory)).splitlines()
                if status:
                    lines.append(f"postconf {option} ended with status {status}")
            return lines


def read_state(file: Path) -> State:
    """Return what a file remembers; nothing where there is none. Raises CarryError."""
    if not file.exists():
        return State()
    try:
        return State(json.loads(file.read_text(encoding="utf-8"))["entries"])
    except (OSError, ValueError, KeyError) as error:
        raise CarryError(f"{file} does not hold what was there before: {error}") from error


def check_listeners(plan: Plan, services: Iterable[dict[str, Any]]) -> None:
    """Refuse a port on which a program listens that is not this Postfix. Raises TakenError."""
    served = {port_of(entry.key.rpartition("/")[0]) for entry in plan.master.entries if "/inet" in entry.key}
    for service in services:
        port = port_of(service["name"]) if service["type"] == "inet" else None
        if port is not None and port not in served and port in listened():
            raise TakenError(f"port {port} is taken by another program ('ss -ltnp sport = :{port}' names it)")


def listened() -> set[int]:
    """Return the TCP ports on which somebody listens on this host (proc_pid_net(5))."""
    ports = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if table.exists():
            for line in table.read_text(encoding="ascii").splitlines()[1:]:
                words = line.split()
                if words[3] == _LISTEN:
                    ports.add(int(words[1].rpartition(":")[2], 16))
    return ports
