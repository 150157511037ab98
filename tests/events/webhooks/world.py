"""A gateway whose events are sent: the command, the daemon, and a spool to which the test writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gatepost_core.domain import MessageRecord
from tests.cli.command import Gatepost, make
from tests.cli.sent import world
from tests.core.ingest.world import World, accepted, event, numbered
from tests.core.running import Running, listening


@dataclass
class Hooked:
    """A gateway with account ``acme`` (1). Ends what it has started."""

    gatepost: Gatepost
    node: World
    number: int = 0

    @classmethod
    def made(cls, folder: Path) -> Hooked:
        gatepost = make(folder)
        return cls(gatepost, world(gatepost))

    def add(self, url: str, *words: str, account: str = "acme") -> dict[str, Any]:
        """Make a webhook; return what the command said, the secret too."""
        made = self.gatepost("webhook", "add", url, "--account", account, "--allow-private", "--json", *words)
        assert made.code == 0, made.err
        told: dict[str, Any] = made.data
        return told

    def say(self, *words: str) -> Any:
        """Return what the command says in JSON."""
        done = self.gatepost("webhook", *words, "--json")
        assert done.code == 0, done.err
        return done.data

    def record(self, account_id: int = 1) -> MessageRecord:
        self.number += 1
        return replace(numbered(self.number), account_id=account_id)

    def send(self, *types: str, account_id: int = 1) -> MessageRecord:
        """Have a message accepted, and things happen to it, in this order."""
        record = self.record(account_id)
        self.node.write(accepted(record))
        for type_ in types:
            self.node.write(event(type_, record))
        return record

    def take(self) -> None:
        """Have in the journal what was sent, as gatepost-events would at this moment."""
        self.node.now = datetime.now(UTC)
        self.node.take()

    @contextmanager
    def daemon(self, *settings: str) -> Iterator[Running]:
        """Run gatepost-events."""
        orders = self.gatepost.folder / "orders"
        orders.unlink(missing_ok=True)
        words = [word for one in ("events.interval=0.05", *settings) for word in ("--set", one)]
        arguments = ["-m", "gatepost_events.main", "--config", str(self.gatepost.config), *words]
        with (
            listening(orders) as listener,
            Running(arguments, self.gatepost.folder, listener=listener) as daemon,
        ):
            yield daemon
