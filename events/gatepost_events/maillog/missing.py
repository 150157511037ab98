"""Messages that came, and of which the log tells nothing more: Postfix did not queue them. Pure.

The queue was full, or cleanup(8) ended: nothing is logged of that queue id then. Whether Gatepost recorded
such a message, and long enough ago, the store knows. After lines that were lost nothing is concluded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gatepost_core.domain.outcomes import Told

_SECOND: Final = 1_000_000
# By the log's own clock: looked at so often, and for so long; an upload may take as long.
_LOOK: Final = 30 * _SECOND
_KEPT: Final = 3_600 * _SECOND
_MOST: Final = 50_000
_REASON: Final = "no trace of it in the mail log: Postfix did not put it into its queue"


class Missing:
    """Queue ids of sessions with a login that have not been seen in the queue."""

    def __init__(self) -> None:
        self._came: dict[str, int] = {}
        self._looked = 0

    def came(self, number: str, at: int) -> None:
        """Note that a message begins to come."""
        if len(self._came) >= _MOST:
            del self._came[next(iter(self._came))]
        self._came[number] = at

    def seen(self, number: str) -> None:
        """Note that the log tells what became of it."""
        self._came.pop(number, None)

    def forget(self) -> None:
        """Conclude nothing of what came until now."""
        self._came.clear()

    def look(self, now: int) -> Iterator[Told]:
        """Yield what is missing at a time of the log, again and again: the store knows which are records."""
        if not self._came or now - self._looked < _LOOK:
            return
        self._looked = now
        for number, at in list(self._came.items()):
            if now - at > _KEPT:
                del self._came[number]
            elif now - at >= _LOOK:
                detail = {"source": "log", "reason": _REASON, "untraced": True}
                yield Told(number, "refused", "", at, detail, "untraced")
