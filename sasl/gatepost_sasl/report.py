"""One log line and one count for each login that has ended."""

from __future__ import annotations

from gatepost_core.log import line
from gatepost_core.metrics import Metrics
from gatepost_sasl.session import Login

_RESULTS = ("granted", "denied", "locked", "malformed", "unavailable")
_MECHANISMS = ("PLAIN", "LOGIN", "SCRAM-SHA-256")


class Reporter:
    """Called with each login. Nothing secret is in one, and nothing secret is logged."""

    def __init__(self, metrics: Metrics) -> None:
        counter = metrics.counter("decisions_total", "Logins that have ended.", ("result", "mechanism"))
        self._counts = {
            (result, mechanism): counter.labels(result, mechanism)
            for result in _RESULTS
            for mechanism in (*_MECHANISMS, "other")
        }
        lockouts = metrics.counter("lockouts_total", "Users or networks locked out for guessing.", ("scope",))
        self._lockouts = {scope: lockouts.labels(scope) for scope in ("user", "network")}

    def __call__(self, login: Login) -> None:
        """Log and count."""
        mechanism = login.mechanism
        self._counts[login.result, mechanism if mechanism in _MECHANISMS else "other"].inc()
        if login.lockout and login.result == "denied":
            self._lockouts[login.lockout].inc()
        line(
            "error" if login.result == "unavailable" else "info",
            "login",
            result=login.result,
            user=login.username or None,
            ip=login.peer.remote_ip,
            mechanism=mechanism[:40],
            reason=login.reason or None,
            lockout=login.lockout or None,
        )
