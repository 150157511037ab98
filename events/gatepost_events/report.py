"""What becomes known of ingestion: metrics, and a log line where something is amiss, or is well again."""

from __future__ import annotations

import time

from gatepost_core.domain.orders import Answer, CredentialOrder, Result
from gatepost_core.serving import log
from gatepost_core.serving.metrics import Metrics
from gatepost_core.store.backend import Followed, Judged, Took
from gatepost_events.holding.judging import Carried
from gatepost_events.places import Pruned
from gatepost_events.rounds import Round, Segment
from gatepost_events.submitted import Settled

_SAY_SECONDS = 60.0
_RETURNING = 1.0
_SETTLING, _SETTLING_MORE = 0.5, 0.05
_PRUNING, _PRUNING_MORE = 3_600.0, 1.0
_SETTLED = ("queued", "given_back", "forgotten")
# Each commit empties the caches of who reads the directory, so a stream of bounces makes one a second.
_AFTER_COMMIT = 1.0


class Reporter:
    """Called with each round. Made before the fork."""

    def __init__(self, metrics: Metrics) -> None:
        taken = metrics.counter("taken_total", "What was taken from the spool and was new.", ("kind",))
        self._messages, self._logins, self._events = (
            taken.labels(kind) for kind in ("message", "login", "event")
        )
        pending = metrics.counter("pending_total", "Events whose message was not known yet.", ("what",))
        self._kept, self._moved, self._expired = (
            pending.labels(what) for what in ("kept", "moved", "expired")
        )
        self._faults = metrics.counter("faults_total", "Looks into the spool that failed.")
        self._behind = metrics.gauge(
            "behind_seconds", "Seconds since all that the spool had was in the store."
        )
        self._stopped = metrics.gauge("stopped_segments", "Files of the spool that are not read on.")
        self._aside = metrics.counter("set_aside_total", "Files of the spool with something unreadable.")
        self._refused = metrics.counter(
            "refused_total", "Entries that their stream may not hold, which are not recorded.", ("stream",)
        )
        self._lost = metrics.counter("log_lost_total", "Lines that the mail log must have had, and had not.")
        self._unread = metrics.gauge("log_unread", "1 while the mail log cannot be read.")
        self._retired = metrics.counter("retired_total", "Files of the spool that made room.")
        pruned = metrics.counter("pruned_total", "What was older than it is kept.", ("kind",))
        self._old_messages, self._old_events = (pruned.labels(kind) for kind in ("message", "event"))
        self._not_followed = metrics.counter(
            "follow_faults_total", "Looks at events that failed, by what they are followed for.", ("what",)
        )
        self._suppressed = metrics.counter("suppressed_total", "Addresses suppressed by events.", ("reason",))
        self._carried = metrics.counter(
            "hold_orders_total", "Orders about held messages, and what came of them.", ("verb", "state")
        )
        self._keys = metrics.counter(
            "submissions_total",
            "What became of messages with an idempotency key (forgotten: recipients, for their age).",
            ("what",),
        )
        self._suspended = metrics.counter(
            "suspended_total", "Credentials warned and suspended.", ("cause", "action")
        )
        self._all_taken = time.monotonic()
        self._fault = self._not_kept = self._log_problem = ""
        self._said = 0.0
        self._told: set[Segment] = set()
        self._told_refused: set[tuple[str, str]] = set()

    def took(self, done: Round, stopped: int) -> None:
        """Note a round that the store took; ``stopped``: how many segments are not read on."""
        now = time.monotonic()
        if self._fault:
            log.info("the spool is taken again", was=self._fault)
            self._fault = ""
        if not done.more:
            self._all_taken = now
        self._behind.set(now - self._all_taken)
        self._stopped.set(stopped)
        for path, why in done.aside.items():
            self._aside.inc()
            log.error("something in the spool cannot be read; it was set aside", file=str(path), reason=why)
        for (stream, number), why in done.stopped.items():
            if (stream, number) not in self._told:
                self._told.add((stream, number))
                log.error(
                    "a file of the spool is not read on", stream=stream, segment=number.hex(), reason=why
                )
        self._log(done)
        if done.taken is not None:
            self._count(done.taken)
            self._tell_refused(done.taken)

    def _log(self, done: Round) -> None:
        if done.lost:
            self._lost.inc(done.lost)
            log.warning("the mail log has lost lines; what they told of is not known", lines=done.lost)
        if done.log_problem != self._log_problem:
            self._unread.set(bool(done.log_problem))
            if done.log_problem:
                log.error("the mail log cannot be read; deliveries are not known", reason=done.log_problem)
            else:
                log.info("the mail log is read", was=self._log_problem)
            self._log_problem = done.log_problem

    def _count(self, taken: Took) -> None:
        for counter, number in (
            (self._messages, taken.messages), (self._logins, taken.logins), (self._events, taken.events),
            (self._kept, taken.pending), (self._moved, taken.moved), (self._expired, taken.expired),
        ):  # fmt: skip
            if number:
                counter.inc(number)

    def _tell_refused(self, taken: Took) -> None:
        for (stream, what), number in taken.refused.items():
            self._refused.labels(stream).inc(number)
            if (stream, what) not in self._told_refused:
                self._told_refused.add((stream, what))
                log.error(
                    "a stream of the spool holds what its daemon cannot know; it is not recorded. See who "
                    "writes there",
                    stream=stream,
                    what=what,
                    entries=number,
                )

    def retired(self, number: int) -> None:
        """Note how many segments made room."""
        if number:
            self._retired.inc(number)

    def not_followed(self, what: str) -> None:
        """Note that events could not be followed, or what they lead to not be written."""
        self._not_followed.labels(what).inc()

    def given_back(self, messages: int) -> float:
        """Note of how many messages limits got something back; return how long to rest."""
        if messages:
            log.info("limits given back", messages=messages)
        return _RETURNING

    def settled(self, done: Settled) -> float:
        """Note what was settled of idempotency keys; return how long to rest."""
        for what, number in zip(_SETTLED, done, strict=False):
            if number:
                self._keys.labels(what).inc(number)
        return _SETTLING_MORE if done.more else _SETTLING

    def places_pruned(self, done: Pruned) -> float:
        """Note what was forgotten of places; return how long to rest."""
        if done.places:
            log.info(
                "places forgotten, of credentials that are gone or not used for long", places=done.places
            )
        return _PRUNING_MORE if done.more else _PRUNING

    def carried(self, done: Carried | None, interval: float) -> float:
        """Note what came of an order about a held message; return how long to rest."""
        if done is None:
            return interval
        order, state, text, until, alone = done
        self._carried.labels(order.verb, state or "failed").inc()
        if state is not None or text != order.note:  # else it was told already
            write = log.error if state is None and until is None else log.info
            what = f"{order.verb}: to be tried again" if state is None else f"{order.verb}: {state}"
            write(what, message_id=order.message, queue_id=order.queue_id, reason=text or None)
        return 0.0 if alone else interval

    def suppressed(self, done: Followed, interval: float) -> float:
        """Note who is suppressed from now on; return how long to rest."""
        for one in done.suppressed:
            self._suppressed.labels(one.reason.value).inc()
            log.info(
                "suppressed",
                address=one.address,
                account_id=one.account_id,
                scope=one.scope.value,
                reason=one.reason.value,
                message_id=one.message,
                event_id=one.event,
            )
        if done.suppressed:
            return _AFTER_COMMIT
        return 0.0 if done.more else interval

    def suspended(self, done: Judged) -> float:
        """Note who was warned or suspended; return how long to rest."""
        for username, one in done.suspensions:
            self._suspended.labels(one.cause.value, one.action.value).inc()
            log.now(
                "warning",
                f"credential {one.action.value}",
                user=username,
                cause=one.cause.value,
                why=str(one),
                message_id=one.message,
                event_id=one.event,
            )
        return 0.0 if done.more else _AFTER_COMMIT

    def pruned(self, messages: int, events: int) -> None:
        """Note what was let go of."""
        self._old_messages.inc(messages)
        self._old_events.inc(events)

    def kept(self, why: str) -> None:
        """Note why the directory cannot be kept open for those who only read it; empty while it is."""
        if why and not self._not_kept:
            log.error("the directory cannot be kept open for readers", error=why)
        elif self._not_kept and not why:
            log.info("the directory is kept open again", was=self._not_kept)
        self._not_kept = why

    def failed(self, why: str) -> None:
        """Note a round that failed: told at once, and each minute while it lasts."""
        now = time.monotonic()
        self._faults.inc()
        self._behind.set(now - self._all_taken)
        if why != self._fault or now - self._said >= _SAY_SECONDS:
            self._fault, self._said = why, now
            log.error("the spool is not taken; what was accepted waits there", error=why)


class OrderReporter:
    """Called with each order of a credential, and its answer."""

    def __init__(self, metrics: Metrics) -> None:
        self._orders = metrics.counter("orders_total", "Orders of credentials answered.", ("result",))

    def __call__(self, order: CredentialOrder, answer: Answer) -> None:
        """Log and count. Rare: one at the first login of a name."""
        self._orders.labels(answer.result.value).inc()
        done = answer.result in (Result.MADE, Result.KNOWN)
        log.now(
            "info" if done else "error",
            "order",
            result=answer.result.value,
            user=order.username,
            account=order.account,
            source=order.source.value,
            reason=answer.text or None,
        )
