"""One step after another of sending: who is active, what is new, what may be sent, what came of it."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from gatepost_core.domain import utc_now
from gatepost_core.keys import Keyring, KeyringError
from gatepost_core.keys.sealing import open_sealed
from gatepost_core.serving import log
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

_DIRECTORY_EVERY: Final = 0.5
# In any case, whatever its files say.
_READ_EVERY: Final = 10.0
_STATE_EVERY: Final = 5.0
_FORGET_EVERY: Final = 30.0
_TRIM_AFTER: Final = 100
# Answers that come together are recorded together; and the end is seen so soon.
_GATHER: Final = 0.01
_END_EVERY: Final = 0.25
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
        self._client = Client(settings.timeout, Path(settings.ca_file) if settings.ca_file else None)
        self._slots = Slots(settings.connections, settings.endpoint_connections)
        self._targets: dict[str, Endpoint] = {}
        self._secrets: dict[bytes, str] = {}
        self._answers: list[Answer] = []
        self._directory_at = self._tidy_at = self._forget_at = 0.0
        self._ends: dict[int, int] | None = None
        self._behind = 0
        # Attempts at each endpoint since what is old of it was let go of.
        self._tried: Counter[str] = Counter()
        self._files: list[tuple[int, int, int]] = []
        self._read_at = 0.0
        self._file: tuple[int, int] | None = None
        self._released = False
        self.more = False

    def __enter__(self) -> Sending:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    @property
    def under_way(self) -> int:
        """How many requests are under way, or answered and not recorded."""
        return self._slots.under_way

    def use(self, begin: Begin) -> None:
        """Work with a journal that was opened."""
        self._begin = begin
        self._file = self._identity()
        self._ends = None
        if self._released:
            return
        with self._begin() as connection:  # what was being sent when the last process ended
            outbox.release(connection, self._node, self._now())
        self._released = True

    def wait(self, seconds: float, over: threading.Event) -> None:
        """Wait for answers, at most so many seconds; take what comes with them."""
        until = time.monotonic() + seconds
        while not over.is_set():
            left = min(_END_EVERY, until - time.monotonic())
            try:
                self._answers.append(self._client.answers.get(timeout=max(0.0, left)))
            except queue.Empty:
                if time.monotonic() >= until:
                    return
            else:
                until = min(until, time.monotonic() + _GATHER)

    def look(self) -> bool:
        """Do what is to be done now; say whether there is anything to go on with."""
        self._learn()
        if not self._targets and not self.under_way:
            return False
        self.record()
        now = self._now()
        taken: list[str] = []
        try:
            with self._begin() as connection:
                self.more = self._fill(connection, now)
                requests = self._claimed(connection, now, taken)
        except BaseException:
            self._ends = None
            for handle in taken:
                self._slots.done(handle)
            raise
        for one in requests:
            self._client.send(one)
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
            health = outbox.health(connection, sorted({one.row.endpoint for one in outcomes}))
        for answer, outcome in zip(self._answers, outcomes, strict=True):
            self._slots.done(answer.row.endpoint)
            self._report.outcome(outcome)
            self._tried[outcome.row.endpoint] += 1
        self._answers = []
        for outcome in outcomes:
            self._judge(outcome, health.get(outcome.row.endpoint), now)

    def _learn(self) -> None:
        """Read anew who is active, now and then."""
        if time.monotonic() < self._directory_at:
            return
        if self._identity() != self._file:
            raise OSError("the journal was replaced; it is opened anew")
        now, files = time.monotonic(), self._directory_files()
        self._directory_at = now + _DIRECTORY_EVERY
        if files and files == self._files and now < self._read_at + _READ_EVERY:
            return
        with self._store.directory() as connection:
            found = {one.handle: one for one in endpoints.active(connection)}
        self._files, self._read_at = files, now
        if found != self._targets:
            self._ends = None
        self._slots.forget(set(self._targets) - set(found))
        self._targets = found

    def _directory_files(self) -> list[tuple[int, int, int]]:
        """Return what changes in the directory's files with each commit; empty where it has none."""
        found = []
        for file in self._store.files("directory"):
            with suppress(FileNotFoundError):
                status = file.stat()
                found.append((status.st_ino, status.st_size, status.st_mtime_ns))
        return found

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

    def _claimed(self, connection: Connection, now: datetime, slots: list[str]) -> list[Request]:
        """Take what may be sent now, and return the requests for it; note whose slots are taken."""
        due = outbox.earliest(connection)
        ready = [one for one, first in due.items() if first <= now and one in self._targets]
        health = outbox.health(connection, ready) if ready else {}
        numbers: dict[str, int] = {}
        for handle in self._slots.in_turn(ready):
            standing = _standing(health.get(handle))
            number = numbers[handle] = self._slots.free(handle, standing)
            self._slots.take(handle, standing, number)
            slots += [handle] * number
        numbers = {handle: number for handle, number in numbers.items() if number}
        rows = outbox.claim(connection, numbers, now, self._lease, self._node)
        unused = Counter(numbers) - Counter(row.endpoint for row in rows)
        for handle in unused.elements():
            self._slots.done(handle)
            slots.remove(handle)
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
            again = schedule.next_at(answer.row.attempts + 1, now, _asked(answer, now))
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
        """Now and then tell how all fare, and let go of old attempts, and of what is off or gone."""
        now = time.monotonic()
        if now < self._tidy_at:
            return
        with self._begin() as connection:
            health = outbox.health(connection)
        self._report.state([one for one in health.values() if one.endpoint in self._targets], self._behind)
        self._tidy_at = now + _STATE_EVERY
        others = [one for one in health.values() if one.endpoint not in self._targets]
        if others and now >= self._forget_at:
            whole = self._forgotten(others)
            self._forget_at = now + (_FORGET_EVERY if whole else 0.0)
        for handle in [one for one, number in self._tried.items() if number >= _TRIM_AFTER]:
            with self._begin() as connection:
                outbox.trim(connection, handle)
            del self._tried[handle]

    def _forgotten(self, others: list[Health]) -> bool:
        """Give up what waits for endpoints that are off, forget those that are gone; say whether all is."""
        with self._store.directory() as connection:
            known = {one.handle for one in endpoints.list_all(connection)}
        whole = True
        for own in others:
            with self._begin() as connection:
                if own.endpoint not in known:
                    whole = filling.forget(connection, own.endpoint) and whole
                elif own.waiting:
                    reason = "it was switched off"
                    whole = outbox.empty(connection, own.endpoint, reason, self._now()) and whole
        return whole


def _asked(answer: Answer, now: datetime) -> timedelta:
    """Return for how long an endpoint wants to be left alone; its words cost no other endpoint its answer."""
    try:
        return schedule.asked_wait(answer.status, answer.retry_after, now)
    except Exception as error:  # noqa: BLE001 - what cannot be understood is no wait
        log.error("internal error", exc_info=error)
        return timedelta(0)


def _standing(health: Health | None) -> Standing:
    known = health is not None and health.last_at is not None
    return Standing.WELL if known and health is not None and not health.failures else Standing.DOUBTFUL
