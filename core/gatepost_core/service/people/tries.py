"""Attempts at what can be guessed: held off, and answered late, by the rules of SMTP's logins.

| what is tried | counted as |
|---|---|
| a name and a password | failures of that name |
| a code of the second factor | failures of that user's codes; no name that is typed is counted there |
| an own new password | each one, also a good one: the two hashes that it costs are shared by all users |

A failure is answered as late as SMTP's. Whoever is being guessed from many networks gets each answer late.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Self, TypeAlias

from gatepost_core.domain.logins.guessing import Guard, Hold, delayed

What: TypeAlias = Literal["password", "code", "change"]


class Tries:
    """Begins attempts. ``usual``: seconds after which a first failure is answered; ``ticks``: the clock's."""

    def __init__(self, guard: Guard, usual: float, ticks: Callable[[], float]) -> None:
        self._guard, self._usual, self._ticks = guard, usual, ticks

    def begin(self, what: What, name: str, address: str) -> Try:
        """Return an attempt, to be made within ``with``."""
        return Try(self._guard, self._usual, self._ticks, _key(what, name), address)

    def forget(self, what: What, name: str, address: str) -> None:
        """Forget a user's failures at something from a network: nothing is missing any more."""
        now = self._ticks()
        self._guard.succeeded(self._guard.attempt(_key(what, name), address, now), now)


class Try:
    """One attempt, under way within ``with``. ``locked``: it may not be made now."""

    def __init__(
        self, guard: Guard, usual: float, ticks: Callable[[], float], key: str, address: str
    ) -> None:
        self._guard, self._usual, self._ticks = guard, usual, ticks
        self._began = ticks()
        self._attempt = guard.attempt(key, address, self._began)
        late = self._attempt.late
        self._delay = delayed(usual, Hold(late)) if late else 0.0
        self.locked = bool(self._attempt.locked)

    def __enter__(self) -> Self:
        """Count it as under way, unless it may not be made."""
        if not self.locked:
            self.locked = self._guard.enter(self._attempt, self._ticks()) != "begun"
        if self.locked:
            self._delay = delayed(self._usual, self._guard.refused(self._attempt))
        return self

    def __exit__(self, *_: object) -> None:
        """Count it as under way no more."""
        if not self.locked:
            self._guard.leave(self._attempt)

    def failed(self) -> None:
        """Count a failure, which is answered late."""
        self._delay = delayed(self._usual, self._guard.failed(self._attempt, self._ticks()))

    def succeeded(self) -> None:
        """Forget the user's failures from this network."""
        self._guard.succeeded(self._attempt, self._ticks())

    def counted(self) -> None:
        """Count what was right as well, without a delay of its own."""
        self._guard.failed(self._attempt, self._ticks())

    @property
    def wait(self) -> float:
        """For how many seconds from now on the answer is not given."""
        return max(0.0, self._began + self._delay - self._ticks())


def _key(what: What, name: str) -> str:
    """Return under which name it is counted. Every name has its kind before it, so none can be another's."""
    return f"{what}:{name}"
