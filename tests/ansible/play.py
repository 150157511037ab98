"""Ansible as an administrator runs it: ansible-playbook over SSH, with the collection of this tree.

Each `Control` is a control node of its own: inventory, group variables, collections path, known connections.
What a run printed is kept in a log file beside the inventory, and its recap becomes `Played`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.ansible.hosts import Host

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PLAY_SECONDS = 900.0
SETTINGS = """[defaults]
collections_path = {collections}
nocolor = true
retry_files_enabled = false
[connection]
pipelining = true
[ssh_connection]
ssh_args = -o ControlMaster=auto -o ControlPersist=30s
"""
RECAP = re.compile(r"^(\S+)\s+: (ok=\d+.*)$", re.M)


@dataclass(frozen=True, slots=True)
class Played:
    """One run: exit status, everything printed, and each host's counts from the recap."""

    status: int
    text: str

    @property
    def recap(self) -> dict[str, dict[str, int]]:
        """Host -> counts (ok, changed, unreachable, failed, skipped, rescued, ignored)."""
        counts = {}
        for host, rest in RECAP.findall(self.text):
            counts[host] = {name: int(value) for name, value in (pair.split("=") for pair in rest.split())}
        return counts

    @property
    def changed(self) -> list[str]:
        """The tasks that changed something, as 'host: task'."""
        found, task = [], ""
        for line in self.text.splitlines():
            if match := re.match(r"(?:TASK|RUNNING HANDLER) \[(.*)\] \*", line):
                task = match[1]
            elif match := re.match(r"changed: \[([^\]]+)\]", line):
                found.append(f"{match[1]}: {task}")
        return found

    def passed(self) -> Played:
        """Itself; a run that failed is an AssertionError with the last of what it printed."""
        assert self.status == 0, f"ansible-playbook ended with {self.status}:\n{self.text[-6000:]}"
        return self

    def refused(self) -> Played:
        """Itself; a run that passed, or left a host unreachable, is an AssertionError."""
        assert self.status == 2, (
            f"expected a refusal, ansible-playbook ended with {self.status}:\n{self.text[-3000:]}"
        )
        assert not any(counts["unreachable"] for counts in self.recap.values()), self.text[-3000:]
        return self


class Control:
    """A control node in `folder`: run playbooks of the collection against `groups` of hosts."""

    def __init__(self, folder: Path, groups: Mapping[str, Sequence[Host]]) -> None:
        self.folder = folder
        self.runs = 0
        self._running: list[subprocess.Popen[bytes]] = []
        self._stopped = False
        place = folder / "collections" / "ansible_collections" / "gatepost"
        place.mkdir(parents=True)
        (place / "gatepost").symlink_to(ROOT / "ansible")
        (folder / "ansible.cfg").write_text(SETTINGS.format(collections=folder / "collections"))
        self.inventory(groups)

    def inventory(self, groups: Mapping[str, Sequence[Host]]) -> None:
        """Write the inventory: group -> hosts."""
        content = {
            group: {"hosts": {host.name: dict(host.inventory()) for host in hosts}}
            for group, hosts in groups.items()
        }
        (self.folder / "hosts.json").write_text(json.dumps(content, indent=1))

    def variables(self, name: str, values: Mapping[str, object], *, of: str = "group") -> None:
        """Write the variables of one group (or of `all`), or of one host; they replace those of before."""
        place = self.folder / f"{of}_vars"
        place.mkdir(exist_ok=True)
        (place / f"{name}.json").write_text(json.dumps(values, indent=1))

    def play(
        self, playbook: str, *options: str, extra: Mapping[str, object] | None = None, check: bool = False
    ) -> Played:
        """Run a playbook of the collection (`site`), with `extra` variables that win over all others."""
        self.runs += 1
        log = self.folder / f"run-{self.runs:02d}-{playbook}.log"
        command = [
            str(BIN / "ansible-playbook"), "-i", "hosts.json", f"gatepost.gatepost.{playbook}",
            *(["--check", "--diff"] if check else []), *options,
            *(["-e", json.dumps(extra)] if extra else []),
        ]  # fmt: skip
        started = time.monotonic()
        played = self._played(command)
        shown = " ".join([playbook, *(["--check"] if check else []), *options])
        log.write_text(played.text)
        seconds = time.monotonic() - started
        print(f"ansible {shown}: status {played.status}, {seconds:.0f} s, {played.recap}", flush=True)
        return played

    def _played(self, command: Sequence[str]) -> Played:
        assert not self._stopped
        with subprocess.Popen(
            command, cwd=self.folder, env=self._environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as run:  # fmt: skip
            self._running.append(run)
            try:
                text, _ = run.communicate(timeout=PLAY_SECONDS)
            finally:
                run.kill()
                self._running.remove(run)
        return Played(run.returncode, text.decode(errors="replace"))

    def stop(self) -> None:
        """End the plays that run, and begin none: the tests are over."""
        self._stopped = True
        for run in list(self._running):
            run.terminate()

    def _environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "ANSIBLE_HOME": str(self.folder / "home"),
        }

    def close(self) -> None:
        """End the SSH connections that are kept between runs."""
        for kept in (self.folder / "home" / "cp").glob("*"):
            subprocess.run(
                ["ssh", "-O", "exit", "-o", f"ControlPath={kept}", "any"], capture_output=True, check=False
            )
