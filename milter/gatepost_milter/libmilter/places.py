"""Rules that hold what comes from a new place, at end of message: after limits, before the record.

Only messages of credentials with such a rule come here. Where a place cannot be told, or what is known of a
credential not be read, they get 451.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from gatepost_core.domain import Defer, StoreUnavailable
from gatepost_core.domain.rules.places import Kind, Origin, Place, Seen, reason
from gatepost_milter.holding import CANNOT_HOLD, held_too, unplaced
from gatepost_milter.judge import Accepted


class LocateFunction(Protocol):
    """What tells where an address is: ``gatepost_core.serving.places.Locator``."""

    def __call__(self, kind: Kind, address: str | None) -> Place:
        """Return a place. Raises StoreUnavailable."""
        ...


class Places:
    """For many threads of one worker. ``holds``: messages can be held here; ``clock``: since 1970."""

    def __init__(
        self,
        seen: Seen,
        locate: LocateFunction,
        *,
        holds: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._seen = seen
        self._locate = locate
        self._holds = holds
        self._clock = clock

    def judged(self, accepted: Accepted, origin: Origin) -> Accepted | Defer:
        """Return a message, held where it comes from a new place.

        One that somebody is to release anyway teaches its places then, and not before: he hears of new ones.
        """
        held = accepted.held
        waits = held is not None and held.until is None
        try:
            places = tuple([self._locate(kind, origin.address) for kind in origin.kinds])
            if waits:
                admitted = self._seen.look(origin.owner, places)
            else:
                admitted = self._seen.admit(origin.owner, places, accepted.record.id, int(self._clock()))
        except StoreUnavailable as error:
            return unplaced(origin.owner.username, f"places: {error}")
        if admitted.new:
            if not self._holds:
                return CANNOT_HOLD
            held = held_too(held, reason(admitted, origin.address), places)
        elif waits and held is not None:
            held = held._replace(places=places)
        return accepted if held is accepted.held else replace(accepted, held=held)
