"""What has to count: the seam between limits and what their counters are kept in.

A counter is a key and buckets, each a start and a number. Three operations, each one step for whoever else
counts at that moment: ``look`` changes nothing, ``take`` adds to all of them or to none, ``give_back`` undoes
a take. Takes are known by the id of their message, so one that is repeated, after a connection was lost, say,
changes nothing. An engine needs no clock and no rules: what a message wants is all that it is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from gatepost_core.domain.errors import StoreUnavailable


class Want(NamedTuple):
    """What a message takes of one counter.

    ``amount`` goes into the bucket ``start``, which nobody needs from ``ends`` on; all buckets from ``first``
    to ``start`` together may have ``most``. Times are seconds since 1970.
    """

    key: str
    start: int
    first: int
    ends: int
    amount: int
    most: int


class Bucket(NamedTuple):
    """What was taken at a time."""

    start: int
    used: int


class Reset(NamedTuple):
    """That somebody set counters to 0: when (seconds since 1970), who, how many of them had something."""

    at: int
    by: str
    counters: int


class CountersDamaged(StoreUnavailable):
    """What the counters are kept in is damaged. Whoever counts next mends it."""


class Looking(Protocol):
    """Reads counters."""

    def look(self, wants: Sequence[Want]) -> list[list[Bucket]]:
        """Return of each counter its buckets that count, oldest first. Raises StoreUnavailable."""
        ...


class Counters(Looking, Protocol):
    """Counts. For many threads and processes; everything raises StoreUnavailable."""

    def take(self, message_id: str, wants: Sequence[Want], quiet: Sequence[int] = ()) -> list[int] | None:
        """Take all that a message wants, or nothing; return what each counter had before.

        None: one of them would have had more than its most. A message that has taken already takes nothing
        more, and gets an empty list. So may one after which each counter has less than its ``quiet``, which
        is at most one more than its most: then nobody wants to know how much.
        """
        ...

    def give_back(self, message_id: str) -> bool:
        """Undo what a message took; say whether there was something. Twice is like once."""
        ...

    def reset(self, key: str, by: str) -> int:
        """Set all counters to 0 whose keys begin with this, and note by whom; return how many had some."""
        ...

    def resets(self, key: str) -> list[Reset]:
        """Return the resets of what begins with this, oldest first."""
        ...

    def close(self) -> None:
        """Let go of what is open; the next use opens it again."""
        ...
