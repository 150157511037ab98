"""What becomes known of reports that are forwarded: a log line each, and metrics."""

from __future__ import annotations

from gatepost_core.domain.outcomes import ForwardState
from gatepost_core.serving import log
from gatepost_core.serving.metrics import Metrics
from gatepost_events.forwarding.steps import Step


class ForwardReporter:
    """Called with each step; returns how many seconds to rest. Made before the fork."""

    def __init__(self, metrics: Metrics) -> None:
        self._forwards = metrics.counter(
            "forwards_total",
            "Reports to be forwarded, by what became of them, or of an attempt (deferred).",
            ("state",),
        )

    def __call__(self, done: Step, interval: float) -> float:
        """Log and count."""
        for report, state, text in done.outcomes:
            self._forwards.labels("deferred" if state is None else state.value).inc()
            sent = state is ForwardState.SENT
            what = "report forwarded" if sent else "report not forwarded" if state else "report waits"
            log.now(
                "info" if sent else "warning",
                what,
                message_id=report.message,
                recipient=report.sender,
                file=report.file,
                reason=text,
            )
        return 0.0 if done.more else interval
