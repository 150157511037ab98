"""One step after another of sending: who is active, what is new, what may be sent, what came of it."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from gatepost_core.domain import utc_now
from gatepost_core.keys import Keyring, KeyringError
from gatepost_core.keys.sealing import open_sealed
from gatepost_core.settings import WebhooksSettings
from gatepost_core.store import events
from gatepost_core.store.backend import Backend, Begin
from gatepost_core.store.webhooks import endpoints, filling, outbox
from gatepost_core.store.webhooks.endpoints import Endpoint
from gatepost_core.store.webhooks.outbox import Health, Outcome, Waiting
from gatepost_events.webhooks import schedule, signing
from gatepost_events.webhooks.calling import Answer, Client, Request
from gatepost_events.webhooks.report import WebhookReporter
from gatepost_events.webhooks.slots import Slots, Standing

_DIRECTORY_EVERY: Final = 1.0
_TIDY_EVERY: Final = 60.0
# Beyond the time that a request may take: what is not recorded by then is sent again.
_LEASE_MARGIN: Final = timedelta(seconds=45)
_GONE: Final = "the event is no longer kept"


class Sending:
    """For one thread. ``now``: the time, UTC. Everything raises StoreUnavailable.

    ``more``: there is something to do at once.
    """

    def __init__(
        self,
        store: Backend,
        settings: WebhooksSettings,
        keyring: Keyring,
        report: WebhookReporter,
        node: str,
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._settings = settings
        self._keyring = keyring
        self._report = report
        self._node = node
        self._now = now
        self._lease = timedelta(seconds=settings.timeout) + _LEASE_MARGIN
        self._client = Client(settings.timeout, settings.ca_file)
        self._slots = Slots(settings.connections, settings.endpoint_connections)
        self._targets: dict[str, Endpoint] = {}
        self._health: dict[str, Health] = {}
        self._secrets: dict[bytes, str] = {}
        self._answers: list[Answer] = []
        self._directory_at = self._tidy_at = 0.0
        self._ends: dict[int, int] | None = None
        self._behind = 0
        # Endpoints with attempts since what is old was let go of.
        self._tried: set[str] = set()
        self._file = self._identity()
        self.more = False

    def __enter__(self) -> Sending:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    @property
    def under_way(self) -> int:
        """How many requests are under way, or answered and not recorded."""
        return self._slots.under_way

    def begin(self, begin: Begin) -> None:
        """Work with an open journal; what was being sent when the last one ended is sent again."""
        self._begin = begin
        with self._begin() as connection:
            outbox.release(connection, self._node, self._now())

    def wait(self, seconds: float, over: threading.Event) -> None:
        """Wait for answers; for none, so many seconds."""
        until = time.monotonic() + seconds
        while not over.is_set():
            left = until - time.monotonic()
            try:
                self._answers.append(self._client.answers.get(timeout=max(0.0, left)))
            except queue.Empty:
                return
            until = time.monotonic()  # take what else is there

    def look(self) -> bool:
        """Do what is to be done now; say whether there is anything to go on with."""
        self._learn()
        if not self._targets and not self.under_way:
            return False
        self.record()
        now = self._now()
        with self._begin() as connection:
            self.more = self._fill(connection, now)
            due = outbox.earliest(connection)
            self._health = outbox.health(connection)
            requests = self._claimed(connection, due, now)
        for one in requests:
            self._client.send(one)
        self._report.state(
            [one for one in self._health.values() if one.endpoint in self._targets], self._behind
        )
        self._tidy()
        return True

    def record(self) -> None:
        """Record what came of attempts."""
        if not self._answers:
            return
        now = self._now()
        outcomes = [self._outcome(one, now) for one in self._answers]
        with self._begin() as connection:
            outbox.record(connection, outcomes)
            health = outbox.health(connection)
        for answer, outcome in zip(self._answers, outcomes, strict=True):
            self._slots.done(answer.row.endpoint)
            self._report.outcome(outcome)
            self._tried.add(outcome.row.endpoint)
        self._answers = []
        for outcome in outcomes:
            self._judge(outcome, health.get(outcome.row.endpoint), now)

    def _learn(self) -> None:
        """Read anew who is active, now and then."""
        if time.monotonic() < self._directory_at:
            return
        if self._identity() != self._file:
            raise OSError("the journal was replaced; it is opened anew")
        with self._store.directory() as connection:
            found = {one.handle: one for one in endpoints.active(connection)}
        if found != self._targets:
            self._ends = None
        self._slots.forget(set(self._targets) - set(found))
        self._targets = found
        self._directory_at = time.monotonic() + _DIRECTORY_EVERY

    def _identity(self) -> tuple[int, int] | None:
        for file in self._store.files("journal"):
            status = file.stat()
            return status.st_dev, status.st_ino
        return None

    def _fill(self, connection: Connection, now: datetime) -> bool:
        """Put what is new into the outbox; say whether there is more."""
        ends = filling.newest(connection)
        if ends == self._ends and not self._behind:
            return False
        done = filling.fill(connection, list(self._targets.values()), now, room=self._settings.backlog)
        self._behind = done.behind
        self._ends = None if done.more else ends
        return done.more

    def _claimed(self, connection: Connection, due: dict[str, datetime], now: datetime) -> list[Request]:
        """Take what may be sent now, and return the requests for it."""
        rows: list[Waiting] = []
        ready = [one for one, first in due.items() if first <= now and one in self._targets]
        for handle in self._slots.in_turn(ready):
            standing = _standing(self._health.get(handle))
            number = self._slots.free(handle, standing)
            if number:
                taken = outbox.claim(connection, handle, number, now, self._lease, self._node)
                self._slots.take(handle, standing, len(taken))
                rows += taken
        if not rows:
            return []
        found = events.of_ids(connection, [one.event_id for one in rows if one.payload is None])
        return [one for row in rows for one in self._requests(row, found.get(row.event_id), now)]

    def _requests(self, row: Waiting, event: events.Event | None, now: datetime) -> Iterable[Request]:
        """Yield the request for a row; none for what cannot be sent, which is an answer then."""
        target = self._targets[row.endpoint]
        if row.payload is not None:
            body = row.payload.encode("ascii")
        elif event is None or event.account_id != target.account_id:
            # Nothing that is another account's leaves by this one's webhook, whoever wrote the outbox.
            self._answers.append(Answer(row, ok=False, status=0, text=_GONE, seconds=0.0))
            return
        else:
            data = events.data_of(event, {target.account_id: target.account})
            body = json.dumps(data, separators=(",", ":")).encode("ascii")
        try:
            secrets = [self._opened(target, one.sealed) for one in target.signing(now)]
        except KeyringError as error:
            self._answers.append(Answer(row, ok=False, status=0, text=str(error), seconds=0.0))
            return
        fields = signing.headers(secrets, row.event_id, now, body)
        yield Request(row, target.url, target.allow_private, fields, body)

    def _opened(self, target: Endpoint, sealed: bytes) -> str:
        """Return a secret. Raises KeyringError."""
        if sealed not in self._secrets:
            plain = open_sealed(self._keyring, sealed, endpoints.place(target.handle))
            self._secrets[sealed] = plain.decode("ascii")
        return self._secrets[sealed]

    def _outcome(self, answer: Answer, now: datetime) -> Outcome:
        again = None
        if not answer.ok and answer.row.payload is None and answer.text != _GONE:
            again = schedule.next_at(answer.row.attempts + 1, now)
        return Outcome(answer.row, now, answer.ok, answer.status, answer.text, answer.seconds, again)

    def _judge(self, outcome: Outcome, health: Health | None, now: datetime) -> None:
        """Switch an endpoint off that has failed for too long."""
        if outcome.ok or health is None:
            return
        reason = schedule.off_reason(outcome.status, health.failures, health.failing_since, now)
        target = self._targets.get(outcome.row.endpoint)
        if not reason or target is None:
            return
        with self._store.directory(write=True) as connection:
            if endpoints.switch_off(connection, target.handle, f"{reason}: {outcome.answer}", now):
                self._report.switched_off(target.handle, target.account, reason, health.failing_since)
        self._targets.pop(target.handle, None)

    def _tidy(self) -> None:
        """Let go of what nobody needs: of endpoints that are off or gone, and of old attempts."""
        if time.monotonic() < self._tidy_at:
            return
        with self._store.directory() as connection:
            known = {one.handle for one in endpoints.list_all(connection)}
        for handle in self._tried:
            with self._begin() as connection:
                outbox.trim(connection, handle)
        self._tried.clear()
        whole = True
        for handle, own in self._health.items():
            if handle in self._targets:
                continue
            with self._begin() as connection:
                if handle not in known:
                    whole = filling.forget(connection, handle) and whole
                elif own.waiting:
                    whole = outbox.empty(connection, handle, "it was switched off", self._now()) and whole
        self._tidy_at = time.monotonic() + (_TIDY_EVERY if whole else 0.0)


def _standing(health: Health | None) -> Standing:
    if health is None or health.last_at is None:
        return Standing.NEW
    return Standing.FAILING if health.failures else Standing.WELL
