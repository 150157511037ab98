"""What becomes of a message and of each of its recipients, as events tell it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

ACCEPTED: Final = "accepted"
DELIVERED: Final = "delivered"
# The state that an event of a type puts a recipient in; other types change none.
STATE_AFTER: Final[Mapping[str, str]] = {
    "held": "held",
    "released": ACCEPTED,
    "delivered": DELIVERED,
    "deferred": "deferred",
    "suppressed": "suppressed",
    "bounced": "bounced",
    "failed": "failed",
}
# The best first.
STATES: Final = (DELIVERED, ACCEPTED, "held", "deferred", "suppressed", "bounced", "failed")
_RANKS = {state: rank for rank, state in enumerate(STATES)}


def status(states: Iterable[str]) -> str:
    """Return a message's status: the worst of its recipients' states. One without recipients is accepted."""
    return max(states, key=_rank, default=ACCEPTED)


def _rank(state: str) -> int:
    return _RANKS.get(state, 0)  # a newer release's, which this one cannot judge
