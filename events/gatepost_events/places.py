"""Places that credentials have sent from: forgotten with the credential, or when not used for long."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from gatepost_core.domain import Credential
from gatepost_core.domain.rules.places import UNUSED_SECONDS, Seen, owner_of

# Owners of one step.
_MOST: Final = 200


class Directory(Protocol):
    """What is read of the store: ``gatepost_core.store.sqlite.reader.Reader``."""

    def credential(self, username: str) -> Credential | None:
        """Return a credential as it is now. Raises StoreUnavailable."""
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...


class Pruned(NamedTuple):
    """What a step did: places forgotten; ``more``: the round is not over."""

    places: int
    more: bool


class Pruning:
    """For one thread. ``clock``: seconds since 1970."""

    def __init__(self, seen: Seen, directory: Directory, clock: Callable[[], float] = time.time) -> None:
        self._seen = seen
        self._directory = directory
        self._clock = clock
        self._after = ""

    def step(self) -> Pruned:
        """Look at some owners. Raises StoreUnavailable."""
        oldest = int(self._clock()) - UNUSED_SECONDS
        found = self._seen.owners(self._after, _MOST)
        places = 0
        for owner in found:
            credential = self._directory.credential(owner.username)
            gone = credential is None or owner_of(credential).key != owner.key
            places += self._seen.forget(owner) if gone else self._seen.prune(owner, oldest)
        more = len(found) == _MOST
        self._after = found[-1].key if more else ""
        return Pruned(places, more)

    def close(self) -> None:
        """Let go of what is open."""
        self._seen.close()
        self._directory.close()
