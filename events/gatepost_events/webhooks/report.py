"""What becomes known of webhooks: metrics, and a log line where an endpoint fails, or is well again."""

from __future__ import annotations

from datetime import datetime

from gatepost_core.domain import stamp
from gatepost_core.serving import log
from gatepost_core.serving.metrics import Metrics
from gatepost_core.store.webhooks.outbox import Health, Outcome


class WebhookReporter:
    """Made before the fork."""

    def __init__(self, metrics: Metrics) -> None:
        attempts = metrics.counter("webhook_attempts_total", "Attempts to send an event.", ("result",))
        self._attempts = {result: attempts.labels(result) for result in ("arrived", "failed", "given_up")}
        self._waiting = metrics.gauge("webhook_waiting", "Events that wait to be sent, all endpoints.")
        self._failing = metrics.gauge("webhook_failing", "Endpoints whose last attempt failed.")
        self._behind = metrics.gauge(
            "webhook_full", "Endpoints that so much waits for that no more is put in their queue."
        )
        self._off = metrics.counter("webhook_switched_off_total", "Endpoints switched off, since they fail.")
        self._failing_now: set[str] = set()
        self._fault = ""

    def outcome(self, one: Outcome) -> None:
        """Note an attempt: of an endpoint that fails, the first one is told, and each that was the last."""
        given_up = not one.ok and one.next_at is None
        self._attempts["arrived" if one.ok else "given_up" if given_up else "failed"].inc()
        handle = one.row.endpoint
        if one.ok and handle in self._failing_now:
            self._failing_now.discard(handle)
            log.info("a webhook takes events again", webhook=handle)
        elif not one.ok and (given_up or handle not in self._failing_now):
            self._failing_now.add(handle)
            log.warning(
                "an event is given up; 'gatepost webhook replay' sends it again" if given_up
                else "a webhook fails; what it does not take is tried again, and what follows of the same "
                "messages waits",
                webhook=handle,
                number=one.row.event_id,
                attempt=one.row.attempts + 1,
                answer=one.answer,
                next=None if one.next_at is None else stamp(one.next_at),
            )  # fmt: skip

    def switched_off(self, handle: str, account: str, reason: str, since: datetime | None) -> None:
        """Note an endpoint that gets nothing any more, until somebody enables it."""
        self._off.inc()
        self._failing_now.discard(handle)
        log.error(
            "a webhook is switched off; mend it, then 'gatepost webhook set --enable' and 'webhook replay'",
            webhook=handle,
            account=account,
            reason=reason,
            failing_since=None if since is None else stamp(since),
        )

    def state(self, health: list[Health], behind: int) -> None:
        """Note how endpoints fare."""
        self._waiting.set(sum(one.waiting for one in health))
        self._failing.set(sum(one.failures > 0 for one in health))
        self._behind.set(behind)

    def failed(self, why: str) -> None:
        """Note that nothing can be sent now; told once, until it changes."""
        if why and why != self._fault:
            log.error("webhooks are not sent; events wait in the journal", error=why)
        elif self._fault and not why:
            log.info("webhooks are sent again", was=self._fault)
        self._fault = why
