"""The HTTP client by itself: requests of a test, and addresses that the test gives to names."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from aiohttp.abc import AbstractResolver, ResolveResult

from gatepost_core.store.webhooks.outbox import Waiting
from gatepost_events.webhooks.calling import Answer, Client, Request

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
ROW = Waiting(1, "wh_test", "event", "message", None, 0, NOW, NOW, "")


class Given(AbstractResolver):
    """Answers with addresses in their turn, the last one again and again."""

    def __init__(self, *addresses: str) -> None:
        self.left = list(addresses)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        address = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST
            )
        ]

    async def close(self) -> None:
        pass


@contextmanager
def client(timeout: float = 5.0, ca_file: Path | None = None, *addresses: str) -> Iterator[Client]:
    made = Client(timeout, ca_file, lambda: Given(*addresses)) if addresses else Client(timeout, ca_file)
    try:
        yield made
    finally:
        made.close()


def call(to: Client, url: str, *, allow_private: bool = True) -> Answer:
    """Send a request and return its answer."""
    to.send(Request(ROW, url, allow_private, {"webhook-id": "event"}, b"{}"))
    return to.answers.get(timeout=30)
