"""Holding off whoever guesses passwords: what counts, how long to delay, when to lock out.

Failures are counted per user name *and* network together, so that outsiders cannot lock a customer out, and
per network, which holds off somebody who tries many names (places.py). Rules:

| what | effect |
|---|---|
| failures of a user and network | the answer to each comes later, twice as late each time from the third on |
| ``limit`` of them, or ``network_limit`` of a network | locked out for ``lockout`` seconds |
| twice, four times as many in an IPv6 /56, /48 | locked out there |
| attempts while locked out | refused unread, in the words and at the time of any failure; not counted |
| the lock-out has ended | one attempt; a failure locks out again, and does not count for the network |
| twice ``limit`` failures of a user, from anywhere | each answer, also a good one, comes late, but where \
the user has logged in from meanwhile; nobody is locked out |
| no failure for four times ``lockout`` | forgotten |
| a success | forgets that user and network; never the network, which a guesser's own login would clear |

Checks that take long (PAM, LDAP) are counted as failures from their beginning (``enter``) to their end
(``leave``): whoever makes many attempts at once has no more of them than with one after the other. Attempts
beyond the limit wait, since the ones before may succeed.

A forgotten device that tries an old password for ever is counted at most ``limit`` times in its network. So
it does not lock out everybody there.

Nothing here asks whether a user exists, so unknown and known names are answered alike. Names are counted
without regard to case and spaces, because a directory may not regard them either. Counters are
``serving.counting``: bounded, and a flood of names or networks resets none. When they are all taken,
a newcomer has one attempt: a right password still gets in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from gatepost_core.domain.logins.places import (
    Place,
    Places,
    Rules,
    Scope,
    network_of,
    parse_networks,
    places_of,
)
from gatepost_core.domain.memo import memo

__all__ = [
    "Attempt", "Counters", "Entry", "Guard", "Hold", "Rules", "Scope", "delayed", "network_of",
    "parse_networks",
]  # fmt: skip

# What follows from ``enter``: begin, wait for those under way, or locked out.
Entry: TypeAlias = Literal["begun", "wait", "user", "network"]

_FORGET = 4.0
_UNDELAYED = 2
_ANYWHERE = 2  # times the limit: failures of a user from anywhere that are not yet answered late
_USUAL = 200
_DELAY_MOST = 4.0  # seconds; Postfix waits for 10 in all (xsasl_dovecot_server.c, AUTH_TIMEOUT)
# Longer than any check: what a worker that was killed had begun is forgotten then.
_UNDER_WAY = 60.0


_NOBODY: Scope = ""


class Counters(Protocol):
    """What is needed of ``gatepost_core.serving.counting.SharedCounters``."""

    def read(self, key: bytes, now: float, forget: float) -> tuple[int, float]:
        """Return a key's count and the time of its latest event."""
        ...

    def trace(self, key: bytes) -> Callable[[], int]:
        """Return what tells, by a negative number, that a key has no count; quicker than ``read``."""
        ...

    def add(self, key: bytes, now: float, forget: float, inherit: int) -> int:
        """Count an event and return the new count."""
        ...

    def take(self, key: bytes, count: int) -> None:
        """Take events back."""
        ...

    def clear(self, key: bytes) -> None:
        """Forget a key."""
        ...

    def exclusive(self) -> AbstractContextManager[object]:
        """Keep everybody else's ``exclusive`` out meanwhile."""
        ...


@dataclass(frozen=True, slots=True)
class Hold:
    """What follows from a failure: ``delay`` in units of the usual one, and who is locked out by it."""

    delay: float = 1.0
    lockout: Scope = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt's standing: ``locked`` is empty when it may be made; the rest is for Guard itself.

    ``late`` is how late even a good answer comes, in units of the usual delay; 0: at once.
    """

    locked: Scope
    places: Places
    failures: int
    late: float = 0.0


@dataclass(frozen=True, slots=True)
class _Known:
    """What is the same for each attempt of a user from an address: where it is counted, whether it ever was.

    ``untouched`` is how it stands while nothing has been counted in these places.
    """

    places: Places
    traces: tuple[Callable[[], int], ...]
    untouched: Attempt


class Guard:
    """Counts failures in tables shared by all workers: ``users``, ``networks``, and ``wide`` for the rest.

    ``under_way`` has a table for each worker, of the checks that it has begun; the one of ``slot`` is this
    worker's own.
    """

    def __init__(
        self,
        users: Counters,
        networks: Counters,
        rules: Rules,
        wide: Counters,
        under_way: Sequence[Counters] = (),
        slot: int = 0,
    ) -> None:
        self._users = users
        self._networks = networks
        self._wide = wide
        self._rules = rules
        self._forget = _FORGET * rules.lockout
        self._under_way = under_way
        self._slot = slot
        # The same customers log in again and again; the latest are kept.
        self._known = memo(1024)(self._read_known)

    def attempt(self, username: str, address: str, now: float) -> Attempt:
        """Say how an attempt stands, before it is made: locked out, or not."""
        long = len(username) > _USUAL  # only strangers have such names: not kept
        known = (self._read_known if long else self._known)(username, address)
        for counted in known.traces:
            if counted() >= 0:
                return self._standing(known.places, now)
        return known.untouched  # nearly all customers, at all times

    def _standing(self, places: Places, now: float) -> Attempt:
        failures, locked = 0, _NOBODY
        forget, lockout = self._forget, self._rules.lockout
        for at, place in enumerate(places.limited):
            count, latest = self._table(place).read(place.key, now, forget)
            if count:
                if not at and place.scope == "user":
                    failures = count
                if not locked and count >= place.limit and now < latest + lockout:
                    locked = place.scope
        return Attempt(locked, places, failures, self._late(places, now))

    def _read_known(self, username: str, address: str) -> _Known:
        places = places_of(username, address, self._rules)
        traces = [self._table(place).trace(place.key) for place in places.limited]
        if self._rules.limit:
            traces.append(self._wide.trace(places.anywhere))
        return _Known(places, tuple(traces), Attempt(_NOBODY, places, 0))

    def _table(self, place: Place) -> Counters:
        return self._wide if place.wide else self._users if place.scope == "user" else self._networks

    def _late(self, places: Places, now: float) -> float:
        """Return how late every answer to a user is who is being guessed, from where he never logged in."""
        if not self._rules.limit:
            return 0.0
        count, _ = self._wide.read(places.anywhere, now, self._forget)
        most = _ANYWHERE * self._rules.limit
        if count < most or self._wide.read(places.here, now, self._forget)[0]:
            return 0.0
        return float(2 ** min(count - most + 1, 16))

    def enter(self, attempt: Attempt, now: float) -> Entry:
        """Count a check that takes its time as under way, if it may begin; ``leave`` ends it."""
        with self._users.exclusive():
            for place in attempt.places.limited:
                count, latest = self._table(place).read(place.key, now, self._forget)
                if count >= place.limit and now < latest + self._rules.lockout:
                    return place.scope or "wait"
                begun = sum(table.read(_mark(place), now, _UNDER_WAY)[0] for table in self._under_way)
                if begun >= max(1, place.limit - count):
                    return "wait"
            if self._under_way:
                for place in attempt.places.limited:
                    self._under_way[self._slot].add(_mark(place), now, _UNDER_WAY, 0)
        return "begun"

    def leave(self, attempt: Attempt) -> None:
        """Note that a check has ended; its failure, if it is one, has been counted by now."""
        if self._under_way:
            for place in attempt.places.limited:
                self._under_way[self._slot].take(_mark(place), 1)

    def failed(self, attempt: Attempt, now: float) -> Hold:
        """Count a failure."""
        limited, limit = attempt.places.limited, self._rules.limit
        counts = [self._add(limited[0], now)] if limited else []
        first = counts[0] if counts and limit else 0
        if limit and first > limit:  # let through after a lock-out
            return Hold(max(_growth(first), attempt.late), "user")
        counts += [self._add(place, now) for place in limited[1:]]
        if limit:
            self._wide.add(attempt.places.anywhere, now, self._forget, limit - 1)
        return Hold(max(_growth(first), attempt.late), _locked_by(limited, counts))

    @staticmethod
    def refused(attempt: Attempt) -> Hold:
        """Return how late an attempt is answered that is refused unread: as its latest failure was."""
        return Hold(max(_growth(attempt.failures), attempt.late))

    def succeeded(self, attempt: Attempt, now: float = 0.0) -> None:
        """Forget the failures of a user and network; needless where there are none and nothing is late."""
        places = attempt.places
        if attempt.failures:
            own = places.limited[0]
            self._users.clear(own.key)
            for place in places.limited:
                if place.scope == "user" and place.wide:
                    self._wide.take(place.key, attempt.failures)
            self._wide.take(places.anywhere, attempt.failures)
        if attempt.late:
            self._wide.add(places.here, now, self._forget, 0)

    def _add(self, place: Place, now: float) -> int:
        return self._table(place).add(place.key, now, self._forget, place.limit - 1)


def _locked_by(places: Sequence[Place], counts: Sequence[int]) -> Scope:
    """Return whom a failure locks out: the user when a limit is met now, or the network, anew each time."""
    lockout: Scope = ""
    for place, count in zip(places, counts, strict=True):
        if place.scope == "user" and count == place.limit:
            return "user"
        if place.scope == "network" and count >= place.limit:
            lockout = "network"
    return lockout


def _mark(place: Place) -> bytes:
    """Return the key of a place among those under way: users and networks are in one table there."""
    return place.scope.encode() + b"\0" + place.key


def delayed(usual: float, hold: Hold) -> float:
    """Return the seconds after which a failure is answered."""
    return max(usual, min(_DELAY_MOST, usual * hold.delay))


def _growth(count: int) -> float:
    return float(2 ** min(max(0, count - _UNDELAYED), 16))
