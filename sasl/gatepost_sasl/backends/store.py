"""The store as a back end: generated passwords, kept as keyed hashes, and imported argon2id hashes.

An unknown user costs the same work as a known one (but for an imported hash, which the fixed time of
refusals hides: slowest.py), and what state, expiry and network say counts only after the password, so
that nobody learns from a refusal which user names exist.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from gatepost_core.domain import Credential, Rules, Source, State
from gatepost_core.domain.logins import STANDS, UNKNOWN, judge, secret_mark
from gatepost_core.keys import Keyring
from gatepost_core.keys.passwords import matching
from gatepost_sasl.authenticator import BackendUnavailable, Denied, Granted, Peer, Verdict
from gatepost_sasl.backends.admission import refusal

_NOBODY = Credential(0, 0, "", "", "", State.ACTIVE, {}, Rules(), datetime.min.replace(tzinfo=UTC))


class Credentials(Protocol):
    """What is needed of the store's reader."""

    def credential(self, username: str) -> Credential | None:
        """Return the credential of that name. Raises StoreUnavailable."""
        ...


class LastUsed(Protocol):
    """Keeps when and from where a credential last logged in."""

    def record(self, credential_id: int, ip: str, now: datetime) -> None:
        """Take note; must neither wait for the store nor fail because of it."""
        ...


def _unheard(seconds: float) -> None:
    del seconds


class StoreAuthenticator:
    """Checks passwords against the store. ``now`` gives the time in UTC; ``took``: see Slowest."""

    def __init__(
        self,
        credentials: Credentials,
        keyring: Keyring,
        last_used: LastUsed,
        now: Callable[[], datetime],
        took: Callable[[float], object] = _unheard,
    ) -> None:
        self._credentials = credentials
        self._keyring = keyring
        self._last_used = last_used
        self._now = now
        self._took = took

    def at_once(self, username: str, password: str, peer: Peer) -> Verdict | None:
        """See Authenticator: an imported argon2id hash takes some tenths of a second."""
        credential = self._credentials.credential(username)
        if credential is not None and credential.imported is not None:
            return None
        return self._checked(credential, username, password, peer)

    def authenticate(self, username: str, password: str, peer: Peer) -> Verdict:
        """See Authenticator. A secret whose key is gone is our fault: BackendUnavailable."""
        return self._checked(self._credentials.credential(username), username, password, peer)

    def _checked(self, credential: Credential | None, username: str, password: str, peer: Peer) -> Verdict:
        now = self._now()
        try:
            secret = matching(self._keyring, credential, password, now, self._took)
        except LookupError as error:
            raise BackendUnavailable(str(error)) from error
        # For each, so that all take as long.
        judged = judge(credential or _NOBODY, username, now, None, peer.remote_ip, Source.STORE)
        if credential is None:
            return Denied("unknown user")
        if secret is None:
            return Denied("wrong password")
        if judged is not STANDS:
            return Denied(judged.reason)
        return self._used(credential, peer, now, secret_mark(secret))

    def admit(self, credential: Credential, peer: Peer, now: datetime) -> Verdict:
        """Say whether a credential may be used by somebody who has shown to know its password."""
        refused = refusal(credential, Source.STORE, peer, now)
        return refused or self._used(credential, peer, now, UNKNOWN)

    def _used(self, credential: Credential, peer: Peer, now: datetime, secret: int) -> Granted:
        self._last_used.record(credential.id, peer.remote_ip, now)
        return Granted(credential.username, credential=credential.id, secret=secret)
