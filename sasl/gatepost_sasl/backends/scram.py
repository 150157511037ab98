"""SCRAM-SHA-256 on the store: the keys that are kept beside each generated password.

PAM and LDAP have passwords of their own, so their users cannot use it. A name that is unknown, or has
no secret that is valid now, is shown the same salt at every attempt and given keys that nobody's proof fits.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime

from gatepost_core.domain import Credential, Secret
from gatepost_core.domain.logins import over
from gatepost_core.keys import Keyring
from gatepost_core.keys.passwords import scram_decoy
from gatepost_sasl.authenticator import Denied, Peer, Verdict
from gatepost_sasl.backends.store import Credentials, StoreAuthenticator
from gatepost_sasl.mechanisms import Proof, ScramKeys
from gatepost_sasl.mechanisms.scram import ScramSha256

_SIZE = 32  # of SHA-256


class StoreScram:
    """See session.Scram. ``store`` says who may log in once the password is shown to be known."""

    def __init__(
        self,
        credentials: Credentials,
        keyring: Keyring,
        store: StoreAuthenticator,
        now: Callable[[], datetime],
    ) -> None:
        self._credentials = credentials
        self._keyring = keyring
        self._store = store
        self._now = now

    def mechanism(self) -> ScramSha256:
        """Return a new exchange."""
        return ScramSha256(self.keys)

    def keys(self, username: str) -> Sequence[ScramKeys]:
        """Return the keys of a name's valid secrets, newest first, as far as they share its salt."""
        credential = self._credentials.credential(username)
        valid = [] if credential is None else _valid(credential, self._now())
        salt, iterations = scram_decoy(self._keyring, username)
        if not valid:
            return [ScramKeys(salt, iterations, secrets.token_bytes(_SIZE), secrets.token_bytes(_SIZE))]
        newest = valid[0]
        return [
            ScramKeys(one.scram_salt, one.scram_iterations, one.scram_stored_key, one.scram_server_key)
            for one in valid
            if (one.scram_salt, one.scram_iterations) == (newest.scram_salt, newest.scram_iterations)
        ]

    def conclude(self, proof: Proof, peer: Peer) -> Verdict:
        """Say whether who gave the proof may log in. Raises StoreUnavailable."""
        credential = self._credentials.credential(proof.username)
        if credential is None:
            return Denied("unknown user")
        if not proof.proved:
            return Denied("wrong password")
        return self._store.admit(credential, peer, self._now())


def _valid(credential: Credential, now: datetime) -> list[Secret]:
    """Return the secrets that a password is valid for now and that have SCRAM's keys, newest first."""
    return [
        secret
        for secret in reversed(credential.secrets)
        if secret.scram_salt and not over(secret.expires_at, now)
    ]
