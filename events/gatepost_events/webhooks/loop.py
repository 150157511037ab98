"""The thread that has the outbox: fills it, gives out what may be sent, records what came of it.

Nothing of SQLAlchemy or of the HTTP client is loaded before an account has a webhook.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from gatepost_core.domain import StoreUnavailable
from gatepost_core.keys import Keyring
from gatepost_core.serving import log
from gatepost_core.settings import WebhooksSettings
from gatepost_core.store.backend import Backend
from gatepost_events.webhooks.report import WebhookReporter

if TYPE_CHECKING:
    from gatepost_events.webhooks.sending import Sending

_LOOK_EVERY: Final = 1.0
# While the last answers are waited for.
_REST: Final = 0.02
_AFTER_FAULT: Final = 1.0


class Webhooks:
    """A worker's webhooks. Use as a context manager: at the end what is under way may end.

    ``node``: the node's name; ``interval``: most seconds from an event to a look; ``last_seconds``: for what
    is under way at the end.
    """

    def __init__(
        self,
        store: Backend,
        settings: WebhooksSettings,
        keyring: Keyring,
        report: WebhookReporter,
        *,
        node: str,
        interval: float,
        last_seconds: float,
    ) -> None:
        self._store = store
        self._settings = settings
        self._keyring = keyring
        self._report = report
        self._node = node
        self._interval = interval
        self._last_seconds = last_seconds
        self._over = threading.Event()
        self._alive = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="webhooks")

    def __enter__(self) -> Webhooks:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def stuck_for(self, seconds: float) -> str:
        """Say why nothing is sent any more, for so many seconds now; empty while it is."""
        if not self._thread.is_alive() and not self._over.is_set():
            return "the thread that sends webhooks has ended"
        if time.monotonic() - self._alive > seconds:
            return f"one look at what webhooks have to send has taken {seconds:g} s"
        return ""

    def _run(self) -> None:
        while not self._over.is_set():
            self._alive = time.monotonic()
            try:
                if self._store.has_webhooks():
                    self._send()
                rest = _LOOK_EVERY
            except (StoreUnavailable, OSError) as error:
                self._report.failed(str(error))
                rest = _AFTER_FAULT
            except Exception as error:  # noqa: BLE001 - it must not end: events wait in the journal
                log.error("internal error", exc_info=error)
                self._report.failed(repr(error))
                rest = _AFTER_FAULT
            self._over.wait(rest)

    def _send(self) -> None:
        """Load what webhooks need, and send until there is nothing to send to any more, or the end.

        A journal that cannot be used for a while costs nothing that is under way: what came of it is
        recorded once it can.
        """
        from gatepost_events.webhooks.sending import Sending  # noqa: PLC0415

        with Sending(self._store, self._settings, self._keyring, self._report, self._node) as sending:
            whole = False
            while not whole:
                self._alive = time.monotonic()  # a journal that cannot be used is no hang
                try:
                    with self._store.transactions() as begin:
                        sending.use(begin)
                        whole = self._serve(sending)
                except (StoreUnavailable, OSError) as error:
                    self._report.failed(str(error))
                    whole = self._over.is_set()
                    sending.wait(0.0 if whole else _AFTER_FAULT, self._over)

    def _serve(self, sending: Sending) -> bool:
        """Go on with an open journal; say whether that was all."""
        while not self._over.is_set():
            self._alive = time.monotonic()
            if not sending.look():
                return True
            self._report.failed("")
            sending.wait(0.0 if sending.more else self._interval, self._over)
        until = time.monotonic() + self._last_seconds
        while sending.under_way and time.monotonic() < until:
            sending.wait(_REST, threading.Event())
            sending.record()
        return True
