"""One log line and one count for each login that has ended."""

from __future__ import annotations

import functools

from gatepost_core.serving.log import Prepared, prepared, write
from gatepost_core.serving.metrics import Metrics, counting
from gatepost_sasl.session import Login

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
        usual = len(login.username) + len(login.reason) <= _USUAL
        key, line = _usually_told(login) if usual else _told(login)
        self._count(key)
        if login.lockout and login.result == "denied":
            self._lockouts[login.lockout].inc()
        write(line, routine=login.result == "granted")


def _told(login: Login) -> tuple[tuple[str, str], Prepared]:
    """Return what a login is counted as, and its line."""
    line = prepared(
        "error" if login.result == "unavailable" else "info",
        "login",
        result=login.result,
        user=login.username or None,
        ip=login.peer.remote_ip,
        mechanism=login.mechanism[:40],
        reason=login.reason or None,
        lockout=login.lockout or None,
    )
    return (login.result, login.mechanism if login.mechanism in _MECHANISMS else "other"), line


# The same customers log in again and again; what only strangers make up is not kept.
_usually_told = functools.lru_cache(maxsize=1024)(_told)
