"""gatepost-milter alone, without Postfix: the real daemon over a real store, driven by ``wire.Client``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatepost_core import settings as core_settings
from gatepost_core.domain import FeatureValue
from gatepost_core.settings import Settings
from gatepost_stack import provision
from gatepost_stack.daemons import Daemon, Supervisor
from gatepost_stack.provision import ClientLogin, Provision, Value
from tests.integration.wire import Client

ALL: dict[str, FeatureValue] = {
    "trackclicks": True,
    "trackopens": True,
    "preventscam": True,
    "inlinecss": True,
    "images": "hosted",
    "trackbounces": True,
    "unsubscribe": True,
    "privacy": True,
    "feedbackid": True,
    "dkim": True,
    "tags": ("spring", "sale"),
}


@dataclass(frozen=True, slots=True)
class Lone:
    """A running gatepost-milter."""

    settings: Settings
    provision: Provision
    supervisor: Supervisor
    folder: Path

    @property
    def socket(self) -> str:
        return str(self.folder / "milter")

    def client(self, login: ClientLogin) -> Client:
        return Client(self.socket, login.username)

    def workers(self) -> list[int]:
        parent = self.supervisor.pid("milter")
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text()
        return [int(pid) for pid in children.split()]

    def log(self) -> str:
        return (self.folder / "milter.log").read_text(encoding="utf-8", errors="replace")


@contextmanager
def lone_milter(folder: Path, tables: Mapping[str, Mapping[str, Any]] | None = None) -> Iterator[Lone]:
    """Run gatepost-milter with all its files below ``folder``; ``tables`` of settings win over these."""
    values: dict[str, dict[str, Value]] = {
        "store": {"url": f"sqlite:///{folder}/directory.db"},
        "keys": {"directory": str(folder / "keys")},
        "spool": {"directory": str(folder / "spool")},
        "images": {"directory": str(folder / "images")},
        "milter": {"listen": f"unix:{folder}/milter"},
    }
    for section, more in (tables or {}).items():
        values.setdefault(section, {}).update(more)
    config = folder / "gatepost.toml"
    provision.write_settings(config, values)
    settings = core_settings.load(config, environ={})
    made = Provision(settings)
    made.initialise()
    command = [sys.executable, "-P", "-m", "gatepost_milter.main", "--config", str(config)]
    notices = folder / "notify"
    notices.mkdir()
    supervisor = Supervisor([Daemon("milter", command, folder / "milter.log")], notices)
    try:
        supervisor.start()
        yield Lone(settings, made, supervisor, folder)
    finally:
        supervisor.stop()
