"""Sending step by step within the test, by a clock of its own: hours pass, and nobody waits for them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from gatepost_core.keys import Keyring
from gatepost_core.serving.metrics import Metrics
from gatepost_core.settings import WebhooksSettings, load
from gatepost_core.store.opening import open_backend
from gatepost_events.webhooks.report import WebhookReporter
from gatepost_events.webhooks.sending import Sending

from .world import Hooked


@cache
def _report() -> WebhookReporter:
    return WebhookReporter(Metrics("webhooks_of_tests", ""))


class Clock:
    """What time it is, to whoever sends."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


class Sender:
    """A sender that the test has take one step after another."""

    def __init__(self, sending: Sending, clock: Clock) -> None:
        self.sending = sending
        self.clock = clock

    def settle(self) -> None:
        """Go on until nothing is to be done at this moment."""
        over = threading.Event()
        while True:
            self.sending._directory_at = self.sending._tidy_at = self.sending._forget_at = 0.0
            there = self.sending.look()
            if not there or not (self.sending.under_way or self.sending.more or self.sending._answers):
                return
            self.sending.wait(0.05, over)

    def pass_by(self, whole: timedelta, step: timedelta) -> None:
        """Let time pass, with a look after each step."""
        until = self.clock.now + whole
        while self.clock.now < until:
            self.clock.now += step
            self.settle()


@contextmanager
def sender(hooked: Hooked, clock: Clock | None = None, **settings: Any) -> Iterator[Sender]:
    """Send as gatepost-events does, from this process; what is in the spool is taken before."""
    clock = clock or Clock()
    own = load(hooked.gatepost.config, environ={})
    store, keyring = open_backend(own.store), Keyring.load(own.keys.directory)
    wanted = WebhooksSettings(**{"timeout": 5.0, **settings})
    with (
        Sending(store, wanted, keyring, _report(), "node", now=clock) as sending,
        store.transactions() as begin,
    ):
        sending.use(begin)
        yield Sender(sending, clock)
