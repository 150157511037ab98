"""What a sans-I/O session wants done: values that the line server carries out, in their order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias


@dataclass(slots=True)  # not frozen: one is made for each answer, and that takes three times as long
class Send:
    """Send ``data``, not before ``not_before`` (seconds of the monotonic clock)."""

    data: bytes
    not_before: float | None = None


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection; ``reason`` goes to the log. ``fault`` says that it is ours, not the peer's."""

    reason: str
    fault: bool = False


@dataclass(frozen=True, slots=True)
class Later:
    """Call ``work``, which blocks (PAM, LDAP), in a thread of its own, and do what it returns in this place.

    The session gets nothing to read until then, so it is still called by one thread at a time.
    """

    work: Callable[[], Sequence[Send | Close]]


Output: TypeAlias = Send | Close | Later


class LineSession(Protocol):
    """The logic of one connection. Called by one thread at a time; must not block but in a ``Later``."""

    def start(self) -> Sequence[Output]:
        """Return what the server says first."""
        ...

    def receive(self, data: bytes, now: float) -> Sequence[Output]:
        """Return what to do about ``data``, which arrived at ``now`` (monotonic seconds)."""
        ...
