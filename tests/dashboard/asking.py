"""A dashboard of a test's own: its store, its daemon, and requests to it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from gatepost_core import settings as core_settings
from gatepost_core.store.opening import open_backend
from gatepost_stack.provision import Provision, write_settings
from tests.core.running import Running

API = "/api/v1"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, whole; ``headers`` by their names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Dashboard:
    """A running daemon; ``operator`` is a token with every scope."""

    def __init__(self, folder: Path, settings: core_settings.Settings, running: Running, port: int) -> None:
        self.folder, self.settings, self.running, self.port = folder, settings, running, port
        self.provision = Provision(settings)
        self.operator = self.provision.token(name="operator")

    def ask(
        self,
        method: str,
        path: str,
        token: str | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask; ``body`` as JSON, bytes as they are; ``path`` below the API, or all of it after //."""
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if raw is not None:
            sent.setdefault("Content-Type", "application/json")
        where = path.removeprefix("/") if path.startswith("//") else f"{API}{path}"
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, where, raw, sent)
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, named, answer.read())
        finally:
            connection.close()

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        """Return all that a table of the directory holds."""
        with open_backend(self.settings.store).directory() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table}")]  # noqa: S608


@contextmanager
def dashboard(folder: Path, **section: Any) -> Iterator[Dashboard]:
    """Run a dashboard with settings of its section; it has the account demo with the domain example.test."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    port = listener.getsockname()[1]
    tables = {
        "store": {"url": f"sqlite:///{folder}/directory.db"},
        "keys": {"directory": str(folder / "keys")},
        "spool": {"directory": str(folder / "spool")},
        "images": {"directory": str(folder / "images")},
        "limits": {"counters": str(folder / "counters" / "counters.db")},
        "log": {"level": "debug"},
        "dashboard": {"listen": f"inet:127.0.0.1:{port}", **section},
    }
    config = folder / "gatepost.toml"
    write_settings(config, tables)
    settings = core_settings.load(config, environ={})
    Provision(settings).initialise()
    arguments = ["-P", "-m", "gatepost_dashboard.main", "--config", str(config)]
    with listener, Running(arguments, folder, listener=listener) as running:
        yield Dashboard(folder, settings, running, port)
