"""Reading a sink while messages arrive: each file once, messages by recipient."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from gatepost_stack import sink
from gatepost_stack.delivery import Delivered


class SinkReader:
    """What reached a Maildir so far. ``times`` counts deliveries by recipient."""

    def __init__(self, maildir: Path) -> None:
        self._new = maildir / "new"
        self._seen: set[str] = set()
        self.items: list[Delivered] = []
        self.times: Counter[str] = Counter()

    def look(self) -> list[Delivered]:
        """Return what has come since the last look. A file is complete when its name appears."""
        fresh = sorted(path for path in self._new.iterdir() if path.name not in self._seen)
        items = [Delivered(*sink.split(path.read_bytes())) for path in fresh]
        self._seen.update(path.name for path in fresh)
        self.items += items
        self.times.update(recipient for item in items for recipient in item.recipients)
        return items

    def wait_for(self, recipients: Iterable[str], seconds: float = 60.0) -> None:
        """Wait until each recipient has a message. Fails after ``seconds`` in which nothing new came."""
        wanted = set(recipients)
        deadline = time.monotonic() + seconds
        while missing := wanted - self.times.keys():
            if self.look():
                deadline = time.monotonic() + seconds
            assert time.monotonic() < deadline, f"{len(missing)} not in the sink, such as {min(missing)}"
            time.sleep(0.05)
