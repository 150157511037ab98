"""One log line and one count for each message that is answered."""

from __future__ import annotations

from gatepost_core.domain import MessageRecord, Mode, Reject
from gatepost_core.domain.texts import bounded
from gatepost_core.serving import log
from gatepost_core.serving.metrics import Metrics, counting, observing
from gatepost_milter.editing.message import Plan
from gatepost_milter.judge import Accepted
from gatepost_milter.libmilter.service import Answer
from gatepost_milter.submitted import Repeated
from gatepost_milter.transaction import Transaction

_RESULTS = ("accepted", "held", "discarded", "repeated", "rejected", "deferred")
_NOTES_MOST = 4_000  # characters in a line of the log


class Reporter:
    """Called with each message that is answered: its transaction, queue id, verdict, and how long it took."""

    def __init__(self, metrics: Metrics) -> None:
        answers = metrics.counter("messages_total", "Messages answered.", ["result"])
        seconds = metrics.histogram("message_seconds", "Time from end of message to the answer.")
        self._count = metrics.batched(counting({name: answers.labels(name) for name in _RESULTS}))
        self._took = metrics.batched(observing(seconds))

    def __call__(self, transaction: Transaction, queue_id: str, verdict: Answer, seconds: float) -> None:
        """Log and count."""
        if isinstance(verdict, Accepted):
            discarded = verdict.record.mode is Mode.SANDBOX
            result, event = ("discarded", _discarded) if discarded else ("accepted", _accepted)
            if verdict.held:
                result = "held"
                _held.soon("info", verdict.record, verdict.plan, queue_id, seconds, verdict.held.reason)
            else:
                event.soon("info", verdict.record, verdict.plan, queue_id, seconds)
        elif isinstance(verdict, Repeated):
            result = "repeated"
            log.info(
                result,
                message_id=verdict.first,
                queue_id=queue_id,
                credential=transaction.username,
                sender=transaction.sender,
                recipients=len(transaction.recipients),
                seconds=seconds,
            )
        else:
            result = "rejected" if isinstance(verdict, Reject) else "deferred"
            log.info(
                result,
                reply=str(verdict),
                reason=verdict.reason,
                reference=verdict.reference,
                queue_id=queue_id,
                credential=transaction.username,
                sender=transaction.sender,
                recipients=len(transaction.recipients),
                size=transaction.size,
                seconds=seconds,
            )
        self._count(result)
        self._took(seconds)


def _taken(record: MessageRecord, plan: Plan, queue_id: str, seconds: float) -> log.Fields:
    """Return what the log says of a message that was taken."""
    return {
        "message_id": record.id,
        "applied": ",".join(record.applied),
        "skipped": "; ".join([f"{name}: {why}" for name, why in record.skipped.items()]),
        "tags": ",".join(record.tags),
        "metadata": plan.metadata,
        "notes": bounded("; ".join(plan.notes), _NOTES_MOST),
        "queue_id": queue_id,
        "credential": record.username,
        "sender": record.sender,
        "recipients": len(record.recipients),
        "size": record.size,
        "seconds": seconds,
    }


def _waiting(record: MessageRecord, plan: Plan, queue_id: str, seconds: float, reason: str) -> log.Fields:
    """Return what the log says of a message that is held."""
    return {"reason": reason, **_taken(record, plan, queue_id, seconds)}


_accepted = log.event("accepted")(_taken)
_held = log.event("held")(_waiting)
_discarded = log.event("discarded")(_taken)
