"""What becomes known of each message that came back: a log line, and metrics."""

from __future__ import annotations

from gatepost_bounces.intake import Taken
from gatepost_core.serving import log
from gatepost_core.serving.metrics import Metrics

_NAMED = 10


def _fields(recipient: str, taken: Taken) -> log.Fields:
    return {
        "recipient": recipient,
        "message": taken.message or None,
        "events": len(taken.events),
        "told": " ".join(f"{one.type}:{one.recipient}" for one in taken.told[:_NAMED]) or None,
        "file": taken.file,
        "reason": taken.unread or None,
    }


_told, _unread = log.event("told")(_fields), log.event("unread")(_fields)


class Reporter:
    """Called with each message and its answer. Made before the fork."""

    def __init__(self, metrics: Metrics) -> None:
        self._told = metrics.counter("told_total", "What messages told that came back.", ("type", "class"))
        self._unread = metrics.counter("unread_total", "Messages that were kept without being understood.")
        self._failed = metrics.counter("failed_total", "Messages that could not be taken, and come again.")
        self._refused = metrics.counter("refused_total", "Recipients that are no address of ours.")

    def took(self, recipient: str, taken: Taken) -> None:
        """Note what was taken."""
        for one in taken.told:
            self._told.labels(one.type, str(one.detail.get("class", ""))).inc()
        if taken.unread:
            self._unread.inc()
        if taken.unread:
            _unread.now("warning", recipient, taken)
        else:
            _told.soon("info", recipient, taken)

    def refused(self, recipient: str) -> None:
        """Note a recipient that is none of ours."""
        self._refused.inc()
        log.info("refused", recipient=recipient, reason="no address that was given out")

    def failed(self, recipient: str, why: str) -> None:
        """Note a message that could not be taken now."""
        self._failed.inc()
        log.error("not taken, Postfix tries again", recipient=recipient, error=why)
