"""How many refusals of a credential are recorded: so many an hour, and each reference once.

Whoever is refused without end fills no journal by it, and takes no room from anybody else.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Final

from gatepost_core.domain.memo import Recent

_HOUR: Final = 3_600
_KNOWN: Final = 10_000


class Bound:
    """For many threads of one process. ``most``: refusals of one credential in an hour of the clock."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._of: tuple[int, dict[int, Iterator[int]]] = (0, {})
        self._known: Recent[str, bool] = Recent(_KNOWN)

    def place(self, credential: int, reference: str, seconds: float) -> int:
        """Return which of its credential's hour a refusal is, from 1 on.

        0: it was told before; above ``most``: it is one too many. ``seconds``: the time since 1970.
        """
        if self._known.get(reference):
            return 0
        hour = int(seconds // _HOUR)
        begun, counts = self._of
        if begun != hour:
            self._of = (hour, counts := {})
        place = next(counts.setdefault(credential, itertools.count(1)))
        if place <= self.most:
            self._known.put(reference, True)
        return place

    def admitted(
        self, credential: int, reference: str, seconds: float, beyond: Callable[[], object]
    ) -> dict[str, str | int] | None:
        """Return what the event of a refusal says of its place; None for one that is not recorded.

        ``beyond`` hears of one that is one too many.
        """
        place = self.place(credential, reference, seconds)
        if place > self.most:
            beyond()
        if not 0 < place <= self.most:
            return None
        return {"last_of_hour": place} if place == self.most else {}
