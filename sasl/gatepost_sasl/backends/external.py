"""A back end whose passwords somebody else knows (PAM, LDAP), bound to credentials of the store.

The directory says whether the password is right; the credential's row says whether it may be used, so
that policy and milter treat every login alike. Without a row the login is refused, unless a template
makes one. How it fails: the directory's faults are BackendUnavailable, the store's StoreUnavailable; both
are answered 454. A refusal waits one and a half times the longest recent answer, because a directory takes
longer for a known user than for an unknown one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from gatepost_core.domain import Credential, Source
from gatepost_sasl.authenticator import BackendUnavailable, Denied, Granted, Peer, Verdict
from gatepost_sasl.backends.admission import refusal
from gatepost_sasl.backends.breaker import Breaker
from gatepost_sasl.backends.cache import GrantedLogins
from gatepost_sasl.backends.store import Credentials, LastUsed
from gatepost_sasl.backends.template import VerifiedUser
from gatepost_sasl.slowest import Slowest

NAME_MOST = 255
# Seconds: Postfix waits 10 in all; a credential that is made after that is there for the next attempt.
_LOGIN_MOST = 9.0
_MAKING_LEAST = 0.5


class PasswordCheck(Protocol):
    """PAM or LDAP. Called by many threads at once."""

    def check(self, name: str, password: str) -> VerifiedUser | Denied:
        """Say whether the password is right. Raises BackendUnavailable within the deadline."""
        ...

    def stuck_for(self, seconds: float) -> str:
        """Say whether all threads have been stuck for so long; empty when not."""
        ...

    def close(self) -> None:
        """End threads and connections."""
        ...


class Maker(Protocol):
    """Makes a credential at the first login of a name."""

    def make(self, who: VerifiedUser, until: float) -> Credential | Denied:
        """Return the credential, by ``until`` (monotonic). Raises StoreUnavailable or BackendUnavailable."""
        ...


class ExternalAuthenticator:
    """An Authenticator made of a password check, the credentials, and what protects them from each other."""

    def __init__(  # noqa: PLR0913 - it is what joins them
        self,
        source: Source,
        check: PasswordCheck,
        rows: Credentials,
        last_used: LastUsed,
        now: Callable[[], datetime],
        *,
        breaker: Breaker,
        granted: GrantedLogins,
        maker: Maker | None = None,
        fold_case: bool = False,
        slowest: Slowest | None = None,
    ) -> None:
        self._source = source
        self._check = check
        self._rows = rows
        self._last_used = last_used
        self._now = now
        self._breaker = breaker
        self._granted = granted
        self._maker = maker
        self._fold_case = fold_case
        self._slowest = slowest or Slowest()

    def at_once(self, username: str, password: str, peer: Peer) -> None:
        """See Authenticator: PAM or a directory is asked, which may take long."""
        del username, password, peer

    def authenticate(self, username: str, password: str, peer: Peer) -> Verdict:
        """See Authenticator."""
        name = self._normal(username)
        # An empty password would be an anonymous bind, which succeeds (RFC 4513 section 5.1.2).
        if not name or not password or len(name) > NAME_MOST:
            return self._denied("a name or password that cannot be used")
        began = time.monotonic()
        try:
            who = self._breaker.call(lambda: self._check.check(name, password))
            self._slowest.took(time.monotonic() - began)
        except BackendUnavailable as fault:
            return self._bridged(name, password, peer, fault)
        if isinstance(who, Denied):
            self._granted.forget(name, password)
            return self._denied(who.reason)
        credential = self._rows.credential(who.name)
        if credential is None and self._maker is not None:
            made = self._maker.make(who, max(began + _LOGIN_MOST, time.monotonic() + _MAKING_LEAST))
            if isinstance(made, Denied):
                return self._denied(made.reason)
            credential = made
        if credential is None:
            return self._denied("the password is right, but there is no credential of that name")
        verdict = self._admit(credential, peer, self._source.value)
        if isinstance(verdict, Granted):
            self._granted.remember(name, password, credential)
        return verdict

    def close(self) -> None:
        """End what the back end has open."""
        self._check.close()

    def stuck_for(self, seconds: float) -> str:
        """See chain.Stuck."""
        return self._check.stuck_for(seconds)

    def _bridged(self, name: str, password: str, peer: Peer, fault: BackendUnavailable) -> Verdict:
        """Answer for a back end that cannot, from its last answer. Raises its fault otherwise."""
        before = self._granted.recall(name, password)
        if before is None or self._rows.credential(before.username) != before:
            raise fault
        return self._admit(before, peer, f"{self._source.value}: does not answer, granted from the cache")

    def _admit(self, credential: Credential, peer: Peer, note: str) -> Verdict:
        now = self._now()
        refused = refusal(credential, self._source, peer, now)
        if refused is not None:
            return self._denied(refused.reason)
        self._last_used.record(credential.id, peer.remote_ip, now)
        return Granted(credential.username, note, credential.id)

    def _normal(self, username: str) -> str:
        """Return one spelling: directories take runs of spaces as one, and none at the ends (RFC 4518)."""
        name = " ".join(username.split())
        return name.lower() if self._fold_case else name

    def _denied(self, reason: str) -> Denied:
        return Denied(f"{self._source.value}: {reason}", self._slowest.delay(0.0))
