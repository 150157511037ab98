"""One log line and one count for each login that has ended."""

from __future__ import annotations

import functools

from gatepost_core.serving.log import Prepared, prepared, write
from gatepost_core.serving.metrics import Metrics, counting
from gatepost_sasl.guessing import Scope
from gatepost_sasl.session import Login, Result

_RESULTS = ("granted", "denied", "locked", "malformed", "unavailable")
_USUAL = 200
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

    def __call__(self, login: Login) -> None:
        """Log and count."""
        mechanism = login.mechanism
        self._count((login.result, mechanism if mechanism in _MECHANISMS else "other"))
        if login.lockout and login.result == "denied":
            self._lockouts[login.lockout].inc()
        entry = _usual_line if len(login.username) + len(login.reason) <= _USUAL else _line
        line = entry(
            login.result, login.username, login.peer.remote_ip, mechanism, login.reason, login.lockout
        )
        write(line, routine=login.result == "granted")


def _line(result: Result, username: str, ip: str, mechanism: str, reason: str, lockout: Scope) -> Prepared:
    return prepared(
        "error" if result == "unavailable" else "info",
        "login",
        result=result,
        user=username or None,
        ip=ip,
        mechanism=mechanism[:40],
        reason=reason or None,
        lockout=lockout or None,
    )


# The same customers log in again and again; what only strangers make up is not kept.
_usual_line = functools.lru_cache(maxsize=1024)(_line)
