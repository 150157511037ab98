"""Waiting for messages to reach the sink, and for Postfix to say what became of them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gatepost_stack import sink
from gatepost_stack.process import StackError

_POLL_SECONDS = 0.02
_STATUS = re.compile(r"status=(bounced|expired|deferred)")


@dataclass(frozen=True, slots=True)
class Delivered:
    """One transaction that the sink took."""

    sender: str
    recipients: tuple[str, ...]
    message: bytes


def delivered(maildir: Path) -> Iterator[Delivered]:
    """Yield everything in the sink, oldest first."""
    for path in sorted((maildir / "new").iterdir()):
        yield Delivered(*sink.split(path.read_bytes()))


def wait_for(maildir: Path, wanted: Callable[[Delivered], bool], seconds: float = 30.0) -> Delivered:
    """Wait for a transaction that is ``wanted`` and return it. Raises TimeoutError.

    A file is looked at once: it is complete when its name appears.
    """
    deadline = time.monotonic() + seconds
    seen: set[Path] = set()
    while time.monotonic() < deadline:
        for path in sorted((maildir / "new").iterdir()):
            if path not in seen:
                seen.add(path)
                item = Delivered(*sink.split(path.read_bytes()))
                if wanted(item):
                    return item
        time.sleep(_POLL_SECONDS)
    raise TimeoutError(f"not in the sink within {seconds:g} s; {len(seen)} other messages are")


def to(recipient: str) -> Callable[[Delivered], bool]:
    """Return the test whether ``recipient`` is among a transaction's."""
    return lambda item: recipient in item.recipients


def wait_until_gone(log: Path, queue_id: str, seconds: float = 60.0) -> None:
    """Wait until Postfix has delivered all of the message ``queue_id``.

    Raises StackError with Postfix's line when it bounced, or was not delivered in time.
    """
    deadline = time.monotonic() + seconds
    lines: list[str] = []
    while time.monotonic() < deadline:
        text = log.read_text(encoding="utf-8", errors="replace")
        lines = [line for line in text.splitlines() if f" {queue_id}: " in line]
        trouble = [line for line in lines if _STATUS.search(line)]
        if any(line.endswith(f" {queue_id}: removed") for line in lines):
            failed = [line for line in trouble if "status=deferred" not in line]
            if failed:
                raise StackError(f"Postfix could not deliver it: {failed[-1]}")
            return
        time.sleep(_POLL_SECONDS)
    raise StackError(f"not delivered within {seconds:g} s: {lines[-1] if lines else 'nothing in the log'}")
