"""One log line and one count for each decision."""

from __future__ import annotations

from gatepost_core.domain import Decision, Defer, Pass
from gatepost_core.serving import log
from gatepost_core.serving.metrics import Metrics, counting
from gatepost_policy.protocol import Request

_STATES = ("RCPT", "DATA")
_RESULTS = ("pass", "reject", "defer", "unavailable")


class Reporter:
    """Called with each request, its decision (None: the store could not tell) and the reason."""

    def __init__(self, metrics: Metrics) -> None:
        counter = metrics.counter("decisions_total", "Requests answered.", ("result", "state"))
        counts = {
            (result, state): counter.labels(result, state)
            for result in _RESULTS
            for state in (*_STATES, "other")
        }
        self._count = metrics.batched(counting(counts))

    def __call__(self, request: Request, decision: Decision | None, reason: str) -> None:
        """Log and count. States in which nothing is decided are logged for debugging only."""
        state = request["protocol_state"]
        decided = state in _STATES
        result = "pass" if decision.__class__ is Pass else _result(decision)
        self._count((result, state if decided else "other"))
        level: log.Level = "info" if decided else "debug"
        if result == "pass":
            _decision.soon(level, request, decision, result, reason)
        else:
            _decision.now("error" if decision is None else level, request, decision, result, reason)


@log.event("decision")
def _decision(request: Request, decision: Decision | None, result: str, reason: str) -> log.Fields:
    return {
        "stage": request["protocol_state"],
        "result": result,
        "reason": reason,
        "code": None if decision is None or isinstance(decision, Pass) else decision.code,
        "reference": None if decision is None or isinstance(decision, Pass) else decision.reference,
        "user": request.get("sasl_username") or None,
        "queue_id": request.get("queue_id") or None,
        "instance": request.get("instance"),
        "ip": request.get("client_address"),
        "sender": request.get("sender"),
        "recipient": request.get("recipient"),
    }


def _result(decision: Decision | None) -> str:
    if decision is None:
        return "unavailable"
    if isinstance(decision, Pass):
        return "pass"
    return "defer" if isinstance(decision, Defer) else "reject"
