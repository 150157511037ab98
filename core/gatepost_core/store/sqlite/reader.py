"""The cached reader: what AUTH, policy and the milter look credentials up in.

A change by any process empties the cache before the next answer, so a revoked credential is refused
at once (lookups.py says how one is told). Every fault raises StoreUnavailable and closes the
connection; the next look-up tries again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from gatepost_core.domain.model import Bounces, Claim, Credential, SenderDomain, WallMode
from gatepost_core.domain.suppressing import Suppression
from gatepost_core.store.sqlite.driver import FAULTS, faults, unavailable
from gatepost_core.store.sqlite.lookups import Lookups, Stamp

# About 1.3 kB each: 7 MB in each worker when it is full. A look-up that misses takes 0.05 to 0.1 ms.
_ENTRIES = 5_000
NAME_MOST = 253  # characters of a domain (RFC 1035 section 2.3.4)
# Whom a name belongs to, most often nobody. Apart, so that names made up by a client push out no credential.
_CLAIMED_NAMES = 2_000
_T = TypeVar("_T")
_ABSENT: Any = object()


class Reader:
    """Reads the directory through a cache. For many threads of one process; opened after fork.

    ``loads`` counts the look-ups that went to the database.
    """

    def __init__(self, url: str, *, entries: int = _ENTRIES) -> None:
        self._url = url
        self._lookups = Lookups(url)
        self._entries = entries
        self._lock = threading.Lock()
        self._cache: OrderedDict[tuple[str, str], Any] = OrderedDict()
        self._claims: OrderedDict[tuple[str, str], Any] = OrderedDict()
        # What is cached holds while the log is like this.
        self._holds: Stamp | None = None
        self.loads = 0

    def credential(self, username: str) -> Credential | None:
        """Return the credential of that name as it is now. Raises StoreUnavailable."""
        # With each login, question and message: without the lock, and most often without SQLite.
        if self._lookups.unchanged(self._holds):
            key, cache = ("credential", username), self._cache
            known: Credential | None = cache.get(key, _ABSENT)
            if known is not _ABSENT:
                if 2 * len(cache) > self._entries:  # before that it is no matter which goes first
                    with suppress(KeyError):  # another thread may just have forgotten it
                        cache.move_to_end(key)
                return known
        return self._get("credential", username, self._lookups.credential)

    def domain(self, name: str) -> SenderDomain | None:
        """Return the registered sender domain of that name, in A-labels. Raises StoreUnavailable.

        One that is cached is as it was at the last look-up of a credential: a message asks for its
        credential first, so nothing is gained by asking SQLite again within the same message.
        """
        if len(name) > NAME_MOST:  # none is, and the cache need not hold it
            return None
        cached: SenderDomain | None = self._cache.get(("domain", name))
        return cached or self._get("domain", name, self._lookups.domain)

    def bounce_domain(self, name: str) -> bool:
        """Say whether bounces of a sender domain arrive at that name. Raises StoreUnavailable."""
        return len(name) <= NAME_MOST and self._get("bounce", name, self._lookups.bounce_domain)

    def click_host(self, name: str) -> bool:
        """Say whether links lead to a host, or did once. Raises StoreUnavailable."""
        return len(name) <= NAME_MOST and self._get("click", name, self._lookups.click_host)

    def claims(self, name: str) -> tuple[Claim, ...]:
        """Return the claims to a name in A-labels and to those above it, the longest name first; often none.

        Cached like ``domain``, also that there is none; one look-up whatever the number of labels. Raises
        StoreUnavailable.
        """
        cached: tuple[Claim, ...] | None = self._claims.get(("claims", name))
        return self._get("claims", name, self._lookups.claims) if cached is None else cached

    def walls(self) -> WallMode:
        """Return whether walls between accounts are enforced. Raises StoreUnavailable."""
        return self._get("walls", "", lambda _: self._lookups.walls())

    def forwards(self, credential_id: int) -> bool:
        """Say whether the account of a credential has reports forwarded. Raises StoreUnavailable."""
        return self._get("forwards", str(credential_id), lambda _: self._lookups.forwards(credential_id))

    def bounces(self, account_id: int) -> Bounces:
        """Return what an account hears of reports about its mail. Raises StoreUnavailable."""
        return self._get("bounces", str(account_id), lambda _: self._lookups.bounces(account_id))

    def suppressions(self, account_id: int, credential: str, keys: Sequence[str]) -> list[Suppression]:
        """Return what an account has of these addresses (``domain.suppressing.keys``), lifted ones left out.

        For all its mail, and for that of the credential of that user name. Not cached: see ``lookups``.
        Raises StoreUnavailable.
        """
        return self._uncached(lambda: self._lookups.suppressions(account_id, credential, keys))

    def suppressed_by_tag(
        self, account_id: int, credential: str, tags: Sequence[str], keys: Sequence[str]
    ) -> list[Suppression]:
        """Return the same for a credential's mail with one of these tags. Raises StoreUnavailable."""
        return self._uncached(lambda: self._lookups.suppressed_by_tag(account_id, credential, tags, keys))

    def imported_hashes(self) -> list[str]:
        """Return all imported password hashes; not cached. Raises StoreUnavailable."""
        with self._lock, faults(self._url):
            if self._lookups.changed():  # told once: what is cached must not outlive it
                self._forget()
            return self._lookups.imported_hashes()

    def close(self) -> None:
        """Close the connection; a later look-up opens it again."""
        with self._lock:
            self._reset()

    def _uncached(self, load: Callable[[], _T]) -> _T:
        with self._lock:
            try:
                if self._lookups.changed():
                    self._forget()
                return load()
            except FAULTS as error:
                self._reset()
                raise unavailable(self._url, error) from error
            except BaseException:
                self._reset()
                raise

    def _get(self, kind: str, name: str, load: Callable[[str], _T]) -> _T:
        key = (kind, name)
        cache, most = (self._claims, _CLAIMED_NAMES) if kind == "claims" else (self._cache, self._entries)
        with self._lock:
            try:
                if self._lookups.changed():
                    self._forget()
                self._holds = self._lookups.settled
                cached: _T = cache.get(key, _ABSENT)
                if cached is not _ABSENT:
                    cache.move_to_end(key)
                    return cached
                value = load(name)
            except FAULTS as error:
                self._reset()
                raise unavailable(self._url, error) from error
            except BaseException:
                self._reset()
                raise
            self.loads += 1
            cache[key] = value
            if len(cache) > most:
                cache.popitem(last=False)
            return value

    def _forget(self) -> None:
        self._holds = None
        self._cache.clear()
        self._claims.clear()

    def _reset(self) -> None:
        self._forget()
        self._lookups.close()
