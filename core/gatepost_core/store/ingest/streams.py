"""What each stream of the spool may hold. Pure.

Each daemon writes to a stream of its own, by the rights of the folder. One that was taken over can write
there what it likes; with this table it can tell no more than the daemon itself could know: a tracker that
answers the public can claim clicks, and never that a message was accepted, or bounced.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from gatepost_core.domain import spooled


class Holds(NamedTuple):
    """Kinds of entries that a stream may hold, and types of its events."""

    kinds: frozenset[int]
    types: frozenset[str] = frozenset()


def _events(*types: str) -> Holds:
    return Holds(frozenset({spooled.EVENT}), frozenset(types))


# In the order in which a round reads them: what happened to messages before the messages themselves, so that
# whatever is told of was accepted before.
STREAMS: Final[Mapping[str, Holds]] = {
    "sasl": Holds(frozenset({spooled.USED})),
    "policy": Holds(frozenset({spooled.REFUSED})),
    "tracker": _events("clicked", "opened", "unsubscribed"),
    "bounces": Holds(
        frozenset({spooled.EVENT, spooled.REPORT}),
        frozenset({"bounced", "response", "complaint", "deferred", "delivered", "failed"}),
    ),
    "milter": Holds(
        frozenset({spooled.ACCEPTED, spooled.EVENT, spooled.REFUSED}),
        frozenset({"held", "limit", "refused", "suppressed"}),
    ),
}
_NAMES: Final = {
    spooled.ACCEPTED: "a message",
    spooled.USED: "a login",
    spooled.EVENT: "an event",
    spooled.REFUSED: "a refusal",
    spooled.REPORT: "a report",
}
_NONE: Final = Holds(frozenset())
# What is told of a type is told by name only if somebody may write it: a stream may hold any text.
_TYPES: Final = frozenset().union(*(holds.types for holds in STREAMS.values()))


def holds(stream: str, kind: int) -> bool:
    """Say whether a stream may hold entries of a kind. One of an unknown name may hold nothing."""
    return kind in STREAMS.get(stream, _NONE).kinds


def holds_event(stream: str, type_: str) -> bool:
    """Say whether a stream may hold events of a type."""
    return type_ in STREAMS.get(stream, _NONE).types


def named(kind: int, type_: str = "") -> str:
    """Return what an entry is, for people."""
    if not type_:
        return _NAMES[kind]
    return f"{_NAMES[kind]} of the type {type_}" if type_ in _TYPES else "an event of no known type"
