"""One log line and one count for each login that has ended."""

from __future__ import annotations

from gatepost_core.serving import log
from gatepost_core.serving.metrics import Metrics, counting
from gatepost_sasl.session import EndedLogin

_RESULTS = ("granted", "denied", "locked", "malformed", "unavailable")
_MECHANISMS = ("PLAIN", "LOGIN", "SCRAM-SHA-256")


class Reporter:
    """Called with each login. Nothing secret is in one, and nothing secret is logged."""

    def __init__(self, metrics: Metrics) -> None:
        counter = metrics.counter("decisions_total", "Logins that have ended.", ("result", "mechanism"))
        counts = {
            (result, mechanism): counter.labels(result, mechanism)
            for result in _RESULTS
            for mechanism in (*_MECHANISMS, "other")
        }
        self._count = metrics.batched(counting(counts))
        lockouts = metrics.counter("lockouts_total", "Users or networks locked out for guessing.", ("scope",))
        self._lockouts = {scope: lockouts.labels(scope) for scope in ("user", "network")}

    def __call__(self, login: EndedLogin) -> None:
        """Log and count."""
        mechanism = login.mechanism if login.mechanism in _MECHANISMS else "other"
        self._count((login.result, mechanism))
        if login.lockout and login.result == "denied":
            self._lockouts[login.lockout].inc()
        if login.result == "granted":
            _login.soon("info", login)
        else:
            _login.now("error" if login.result == "unavailable" else "info", login)


# The same customers log in again and again; what only strangers make up is no routine, and not remembered.
@log.event("login", usual=1024)
def _login(login: EndedLogin) -> log.Fields:
    return {
        "result": login.result,
        "user": login.username or None,
        "ip": login.peer.remote_ip,
        "mechanism": login.mechanism[:40],
        "reason": login.reason or None,
        "lockout": login.lockout or None,
    }
