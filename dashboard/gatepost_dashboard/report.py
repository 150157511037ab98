"""One log line and one count for each answer."""

from __future__ import annotations

from gatepost_core.serving import log
from gatepost_core.serving.metrics import Metrics, counting, observing

_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")


class Reporter:
    """Called with each answer."""

    def __init__(self, metrics: Metrics) -> None:
        counter = metrics.counter("requests_total", "Requests answered.", ("status",))
        self._count = metrics.batched(counting({name: counter.labels(name) for name in _CLASSES}))
        seconds = metrics.histogram("request_seconds", "Time that an answer took.")
        self._seconds = metrics.batched(observing(seconds))

    def answered(self, method: str, route: str, status: int, who: str, client: str, seconds: float) -> None:
        """Tell of an answer. ``route``: the path's pattern; ``who``: the name of who asked, '' for nobody."""
        self._count(f"{min(max(status // 100, 1), 5)}xx")
        self._seconds(seconds)
        level: log.Level = "debug" if method in ("GET", "HEAD") and status < 400 else "info"
        _answer.soon(level, method, route, status, who, client, seconds)

    def signed_in(self, result: str, user: str, client: str) -> None:
        """Tell of somebody who signed in, or tried to: granted, denied, locked, expired, password-by-link."""
        _sign_in.now("info", result, user, client)


@log.event("sign-in")
def _sign_in(result: str, user: str, client: str) -> log.Fields:
    return {"result": result, "user": user or None, "ip": client or None}


@log.event("answer")
def _answer(method: str, route: str, status: int, who: str, client: str, seconds: float) -> log.Fields:
    return {
        "method": method,
        "route": route or None,
        "status": status,
        "who": who or None,
        "ip": client or None,
        "seconds": round(seconds, 4),
    }
