"""Logins that were granted a short while ago, to bridge a directory that is down. Off unless asked for.

Kept in memory only, as an HMAC under a key of this process that is never written anywhere. An entry is
good for the credential exactly as it was: whatever the operator changes ends it.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from gatepost_core.domain import Credential
from gatepost_core.domain.memo import Recent

_ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class _Entry:
    digest: bytes
    credential: Credential
    until: float


class GrantedLogins:
    """At most one entry a name. ``seconds`` 0 keeps nothing; ``clock`` gives monotonic seconds."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._entries: Recent[str, _Entry] = Recent(_ENTRIES)

    def remember(self, name: str, password: str, credential: Credential) -> None:
        """Note that the back end granted this login now."""
        if not self._seconds:
            return
        until = self._clock() + self._seconds
        self._entries.put(name, _Entry(self._digest(name, password), credential, until))

    def recall(self, name: str, password: str) -> Credential | None:
        """Return the credential, as it was, of a login that was granted with this password."""
        entry = self._entries.get(name)
        if entry is None or not hmac.compare_digest(entry.digest, self._digest(name, password)):
            return None
        return entry.credential if self._clock() < entry.until else None

    def forget(self, name: str, password: str) -> None:
        """Drop a login that the back end refuses now: the password was changed there."""
        entry = self._entries.get(name)
        if entry is not None and hmac.compare_digest(entry.digest, self._digest(name, password)):
            self._entries.drop(name)

    def _digest(self, name: str, password: str) -> bytes:
        return hmac.digest(self._key, f"{name}\0{password}".encode("utf-8", "surrogatepass"), "sha256")
