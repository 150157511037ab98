"""One log line and one count for each answer."""

from __future__ import annotations

from gatepost_core.serving import log
from gatepost_core.serving.metrics import Metrics, counting
from gatepost_tracker.site import Happened

KINDS = ("clicked", "opened", "unsubscribed", "image", "other", "refused")
LOST = ("spool", "bound")


class Reporter:
    """Called with each answer, and with each event that is not kept."""

    def __init__(self, metrics: Metrics) -> None:
        counter = metrics.counter("requests_total", "Requests answered.", ("kind",))
        self._count = metrics.batched(counting({kind: counter.labels(kind) for kind in KINDS}))
        lost = metrics.counter("events_lost_total", "Clicks and opens answered and not kept.", ("reason",))
        self._lost = metrics.batched(counting({reason: lost.labels(reason) for reason in LOST}))

    def answered(self, kind: str, status: int, client: str, event: Happened | None) -> None:
        """Tell of an answer."""
        self._count(event.type if event is not None else kind)
        if event is not None:
            # No more than the line needs: what waits for it is in the way of the next requests.
            detail = event.detail
            message = "" if event.anonymous else event.message
            shown = client if "ip" in detail or event.type == "unsubscribed" else ""
            what = (detail.get("verdict"), detail.get("how"))
            _answer.soon("info", event.type, status, message, shown, *what)
        else:
            _other.soon("debug", kind, status, client)

    def refused(self, status: int, reason: str, client: str) -> None:
        """Tell of a request that is none, or is too large."""
        self._count("refused")
        _refused.soon("info", status, reason, client)

    def lost(self, reason: str) -> None:
        """Count an event that is not kept."""
        self._lost(reason)


@log.event("event")
def _answer(
    type_: str, status: int, message: str, client: str, verdict: str | None, how: str | None
) -> log.Fields:
    return {
        "type": type_,
        "status": status,
        "message": message or None,
        "ip": client or None,
        "verdict": verdict,
        "how": how,
    }


@log.event("answer")
def _other(kind: str, status: int, client: str) -> log.Fields:
    return {"kind": kind, "status": status, "ip": client or None}


@log.event("refused")
def _refused(status: int, reason: str, client: str) -> log.Fields:
    return {"status": status, "reason": reason, "ip": client or None}
