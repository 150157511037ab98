"""What became of messages with an idempotency key: queued, or not, as the log tells; and the end of keys.

A message that is accepted waits here for evidence. Where its record alone says that it is held, the helper of
root's looks into the hold queue. Without evidence nothing changes: a repeat gets 451 until the key is old.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from gatepost_core.domain import ids
from gatepost_core.domain.limits.submissions import Fate, Fates, Submissions
from gatepost_core.domain.memo import Recent
from gatepost_core.serving.asking import NoAnswer
from gatepost_events.holding.verbs import Answer, Order, Result, Verb

# Messages of one step, and of those that are looked for in the hold queue: each is a command of Postfix's.
_MOST: Final = 200
_LOOKS_MOST: Final = 10
# What came in so many seconds is looked at with each step, and some of what is older: where the log cannot be
# read much of it may wait, and hides nobody.
_FRESH: Final = 120.0
# Until it is looked for again, in seconds: at first, and at most, as it is doubled each time.
_LOOK_AGAIN: Final = 1.0
_LOOK_AGAIN_MOST: Final = 60.0
# Until a helper is asked again that did not answer.
_ASK_AGAIN: Final = 10.0
# From one look at what is old to the next, in seconds.
_SWEEP_EVERY: Final = 30.0
_NEVER: Final = (0.0, 0.0)


class Settled(NamedTuple):
    """What a step did: messages known to be queued, keys given back, recipients forgotten for their age.

    ``more``: there is more to do at once.
    """

    queued: int
    given_back: int
    forgotten: int
    more: bool


class _Pages:
    """A page of accepted messages with each turn, round and round. ``more``: the round is not over."""

    def __init__(self) -> None:
        self._after = ""
        self.more = False

    def turn(self, claims: Submissions, first: str, until: str) -> Sequence[str]:
        """Return the next messages after ``first``, before ``until``; an empty id is no bound."""
        found = claims.accepted(max(self._after, first), _MOST)
        self.more = len(found) == _MOST and not (until and found[-1] >= until)
        self._after = found[-1] if self.more else ""
        return [one for one in found if one < until] if until else found


class Submitted:
    """For one thread. ``hours``: how long keys are known; ``look`` asks the helper. ``clock``: since 1970."""

    def __init__(
        self,
        claims: Submissions,
        fates: Fates,
        look: Callable[[Order], Answer],
        hours: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._claims = claims
        self._fates = fates
        self._look = look
        self._seconds = hours * 3_600
        self._clock = clock
        self._old, self._fresh = _Pages(), _Pages()
        self._looks: Recent[str, tuple[float, float]] = Recent(10_000)
        self._ask_at = self._sweep_at = 0.0

    def step(self) -> Settled:
        """Settle what is known by now, some at a time. Raises StoreUnavailable."""
        edge = ids.first(int((self._clock() - _FRESH) * 1000))
        accepted = [
            *self._old.turn(self._claims, "", edge),
            *self._fresh.turn(self._claims, edge, ""),
        ]
        fates = self._fates.of(accepted)
        queued = [number for number, fate in fates.items() if fate.queued and not fate.refused]
        queued += self._held({number: fate for number, fate in fates.items() if _only_held(fate)})
        if queued:
            self._claims.queued(queued)
        refused = [number for number, fate in fates.items() if fate.refused]
        given_back = sum([self._claims.give_back(number) for number in refused])
        forgotten = self._swept(self._clock())
        # What waits for the log is looked at again only after a rest.
        settled = bool(queued or given_back) and (self._old.more or self._fresh.more)
        return Settled(len(queued), given_back, forgotten, settled or forgotten > 0)

    def close(self) -> None:
        """Let go of what is open."""
        self._claims.close()
        self._fates.close()

    def _swept(self, now: float) -> int:
        """Forget what is old, now and then; return of how many recipients."""
        if now < self._sweep_at:
            return 0
        forgotten = self._claims.sweep(ids.first(int((now - self._seconds) * 1000)))
        self._sweep_at = 0.0 if forgotten else now + _SWEEP_EVERY
        return forgotten

    def _held(self, fates: dict[str, Fate]) -> list[str]:
        """Return those that are in the hold queue. None while the helper does not answer."""
        now, found = self._clock(), list[str]()
        due = [number for number in fates if self._looks.get(number, _NEVER)[0] <= now]
        for number in due[:_LOOKS_MOST] if self._ask_at <= now else ():
            rest = min(max(2 * self._looks.get(number, _NEVER)[1], _LOOK_AGAIN), _LOOK_AGAIN_MOST)
            self._looks.put(number, (now + rest, rest))
            try:
                answer = self._look(Order(Verb.LOOK, fates[number].queue_id))
            except NoAnswer:
                self._ask_at = now + _ASK_AGAIN
                break
            if answer.result is Result.DONE:
                found.append(number)
        return found


def _only_held(fate: Fate) -> bool:
    return fate.held and not fate.queued and not fate.refused and bool(fate.queue_id)
