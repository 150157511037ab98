"""``gatepost doctor`` run as an operator runs it, against a gateway whose Postfix can be tampered with."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatepost_cli.checks.probemail import LABEL
from gatepost_core.service.showing.dns_records import records
from gatepost_stack.instance import HOST
from gatepost_stack.stack import HOSTNAME, Stack
from tests.integration.harness import Gateway, write_main_cf
from tests.waiting import until

FINDING = dict[str, str]


@dataclass(frozen=True)
class Doctor:
    """The command as an operator runs it."""

    gateway: Gateway
    resolver: str

    def __call__(self, *words: str, overrides: tuple[str, ...] = ()) -> Any:
        """Run it; return its JSON, after holding the exit code against it."""
        place = self.gateway.stack.layout
        command = [sys.executable, "-m", "gatepost_cli", "--config", str(place.settings_file)]
        command += [word for override in overrides for word in ("--set", override)]
        command += ["doctor", "--postfix-config", str(place.postfix), "--resolver", self.resolver, "--json"]
        done = subprocess.run([*command, *words], capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode in (0, 5), done.stderr
        data = json.loads(done.stdout)
        assert done.returncode == (5 if data["faults"] else 0)
        return data

    def faults(self, *words: str, overrides: tuple[str, ...] = ()) -> list[FINDING]:
        """Run it; return its faults, each of which says what was expected and what to do."""
        found = [one for one in self(*words, overrides=overrides)["findings"] if one["status"] == "fault"]
        assert all(one["found"] and one["expected"] and one["advice"] for one in found)
        return found

    def probe(self) -> FINDING:
        """Run the probe alone; return its only fault."""
        (found,) = self.faults("--only", "probe")
        assert not any(LABEL in one["label"] for one in self.credentials())
        return found

    def credentials(self) -> list[dict[str, str]]:
        place = self.gateway.stack.layout
        command = [sys.executable, "-m", "gatepost_cli", "--config", str(place.settings_file)]
        done = subprocess.run([*command, "credential", "list", "--json"], capture_output=True, check=True)
        found: list[dict[str, str]] = json.loads(done.stdout)
        return found


def zones(stack: Stack) -> dict[str, list[str]]:
    """Return all that the sender domain should publish, as zone files have it."""
    own = records(stack.provision.domain(), HOSTNAME)
    return {
        "example.test": [
            *(f"{one.name}. 60 IN {one.type} {one.data}" for one in own),
            f"{HOSTNAME}. 60 IN A 192.0.2.25",
        ],
        "2.0.192.in-addr.arpa": [f"25 60 IN PTR {HOSTNAME}."],
    }


def wait_until_served(doctor: Doctor) -> None:
    """Wait until Postfix takes mail again: master(8) holds back a service whose smtpd could not start."""
    until(lambda: not doctor("--only", "probe")["faults"], "Postfix back", 90)


@contextmanager
def reconfigured(doctor: Doctor, parameters: Mapping[str, str]) -> Iterator[None]:
    """Change main.cf, have Postfix read it, and put it back in the end."""
    stack = doctor.gateway.stack
    file = stack.layout.postfix / "main.cf"
    before = file.read_text()
    lines = [line for line in before.splitlines() if line.partition(" = ")[0] not in parameters]
    lines += [f"{name} = {value}".rstrip() for name, value in parameters.items()]
    try:
        _reload(stack, "\n".join(lines) + "\n")
        yield
    finally:
        _reload(stack, before)


def _reload(stack: Stack, text: str) -> None:
    write_main_cf(stack, text)
    pids = _smtpds(stack)
    subprocess.run(
        ["/usr/sbin/postfix", "-c", str(stack.layout.postfix), "reload"], check=True, capture_output=True
    )

    def replaced() -> bool:
        """Have a session: each smtpd ends after the one that it is in."""
        with socket.create_connection((HOST, stack.ports[0]), timeout=5):
            return not pids & _smtpds(stack)

    until(replaced, "the end of each smtpd from before the reload")


def _smtpds(stack: Stack) -> set[int]:
    """Return the smtpd processes of the private Postfix."""
    children = Path(f"/proc/{stack.postfix.pid}/task/{stack.postfix.pid}/children").read_text().split()
    return {int(pid) for pid in children if _command(pid) == "smtpd"}


def _command(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
