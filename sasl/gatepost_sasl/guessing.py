"""Holding off whoever guesses passwords: what counts, how long to delay, when to lock out.

Failures are counted per user name *and* network together, so that outsiders cannot lock a customer out,
and per network, which holds off somebody who tries many names. Rules:

| what | effect |
|---|---|
| failures of a user and network | the answer to each comes later, twice as late each time from the third on |
| ``limit`` of them, or ``network_limit`` of a network | locked out for ``lockout`` seconds |
| attempts while locked out | refused unread, in the words and at the time of any failure; not counted |
| the lock-out has ended | one attempt; a failure locks out again, and does not count for the network |
| no failure for four times ``lockout`` | forgotten |
| a success | forgets that user and network; never the network, which a guesser's own login would clear |

A forgotten device with an old password, which tries for ever, so counts for no more than ``limit`` in its
network, and does not take everybody there along.

Nothing here asks whether a user exists, so unknown and known names are answered alike. Names are counted
without regard to case and spaces, because a directory may not regard them either. Counters are
``gatepost_core.counters``: bounded, and a flood of names or networks resets none. When they are all taken,
a newcomer has one attempt: a right password still gets in.
"""

from __future__ import annotations

import functools
import ipaddress
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

Scope: TypeAlias = Literal["", "user", "network"]
IPNetwork: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_FORGET = 4.0
_UNDELAYED = 2
_USUAL = 200
_DELAY_MOST = 4.0  # seconds; Postfix waits for 10 in all (xsasl_dovecot_server.c, AUTH_TIMEOUT)


class Counters(Protocol):
    """What is needed of ``gatepost_core.counters.SharedCounters``."""

    def read(self, key: bytes, now: float, forget: float) -> tuple[int, float]:
        """Return a key's count and the time of its latest event."""
        ...

    def add(self, key: bytes, now: float, forget: float, inherit: int) -> int:
        """Count an event and return the new count."""
        ...

    def clear(self, key: bytes) -> None:
        """Forget a key."""
        ...


@dataclass(frozen=True, slots=True)
class Rules:
    """How much guessing is let pass. Seconds; a limit of 0 counts nothing.

    ``shared``: networks of which only users are counted, since hosts there log in for many people.
    """

    limit: int = 10
    network_limit: int = 100
    lockout: float = 900.0
    ipv4_prefix: int = 32
    ipv6_prefix: int = 64
    shared: tuple[IPNetwork, ...] = ()


@dataclass(frozen=True, slots=True)
class Hold:
    """What follows from a failure: ``delay`` in units of the usual one, and who is locked out by it."""

    delay: float = 1.0
    lockout: Scope = ""


@dataclass(slots=True)
class Attempt:
    """One attempt's standing: ``locked`` is empty when it may be made; the rest is for Guard itself."""

    locked: Scope
    user: bytes
    network: bytes
    network_limit: int
    failures: int


class Guard:
    """Counts failures in ``users`` and ``networks``, two tables shared by all workers."""

    def __init__(self, users: Counters, networks: Counters, rules: Rules | None = None) -> None:
        self._users = users
        self._networks = networks
        self._rules = rules = rules or Rules()
        self._forget = _FORGET * rules.lockout
        # The same customers log in again and again; the latest are kept.
        self._keys = functools.lru_cache(maxsize=2048)(self._read_keys)

    def attempt(self, username: str, address: str, now: float) -> Attempt:
        """Say how an attempt stands, before it is made: locked out, or not."""
        long = len(username) > _USUAL  # only strangers have such names: not kept
        user, network, limit = (self._read_keys if long else self._keys)(username, address)
        failures, latest = self._users.read(user, now, self._forget) if self._rules.limit else (0, 0.0)
        locked: Scope = ""
        if failures and self._is_locked(failures, latest, self._rules.limit, now):
            locked = "user"
        elif limit:
            count, latest = self._networks.read(network, now, self._forget)
            if count and self._is_locked(count, latest, limit, now):
                locked = "network"
        return Attempt(locked, user, network, limit, failures)

    def _read_keys(self, username: str, address: str) -> tuple[bytes, bytes, int]:
        """Return the keys of a user and a network, and the network's limit."""
        network, limit = network_of(address, self._rules)
        return b"%s\0%s" % (_folded(username), network), network, limit

    def failed(self, attempt: Attempt, now: float) -> Hold:
        """Count a failure."""
        limit = self._rules.limit
        count = self._add(self._users, attempt.user, limit, now)
        if limit and count > limit:  # let through after a lock-out
            return Hold(_growth(count), "user")
        of_network = self._add(self._networks, attempt.network, attempt.network_limit, now)
        lockout: Scope = "network" if attempt.network_limit and of_network >= attempt.network_limit else ""
        return Hold(_growth(count), "user" if count and count == limit else lockout)

    @staticmethod
    def refused(attempt: Attempt) -> Hold:
        """Return how late an attempt is answered that is refused unread: as its latest failure was."""
        return Hold(_growth(attempt.failures))

    def succeeded(self, attempt: Attempt) -> None:
        """Forget the failures of a user and network; needless where ``attempt`` has none."""
        self._users.clear(attempt.user)

    def _is_locked(self, count: int, latest: float, limit: int, now: float) -> bool:
        return 0 < limit <= count and now < latest + self._rules.lockout

    def _add(self, counters: Counters, key: bytes, limit: int, now: float) -> int:
        return counters.add(key, now, self._forget, limit - 1) if limit else 0


def network_of(address: str, rules: Rules) -> tuple[bytes, int]:
    """Return the network that stands for an address (the text itself when it is none), and its limit."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address.encode("utf-8", "surrogatepass"), rules.network_limit
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip
    prefix = rules.ipv4_prefix if ip.version == 4 else rules.ipv6_prefix
    shared = any(ip in one for one in rules.shared)
    network = ipaddress.ip_network((ip, prefix), strict=False)
    return str(network).encode(), 0 if shared else rules.network_limit


class _Nothing:
    """Counters that count nothing."""

    def read(self, key: bytes, now: float, forget: float) -> tuple[int, float]:
        """Know of nothing."""
        del key, now, forget
        return 0, 0.0

    def add(self, key: bytes, now: float, forget: float, inherit: int) -> int:
        """Count nothing."""
        del key, now, forget, inherit
        return 0

    def clear(self, key: bytes) -> None:
        """Have nothing to forget."""
        del key


def no_guard() -> Guard:
    """Return a guard that lets everything pass."""
    return Guard(_Nothing(), _Nothing(), Rules(limit=0, network_limit=0))


def delayed(usual: float, hold: Hold) -> float:
    """Return the seconds after which a failure is answered."""
    return max(usual, min(_DELAY_MOST, usual * hold.delay))


def _growth(count: int) -> float:
    return float(2 ** min(max(0, count - _UNDELAYED), 16))


def _folded(username: str) -> bytes:
    """Return a name in the one spelling that is counted; no NUL is in it."""
    if username.isalnum() and username.islower():
        return username.encode("utf-8", "surrogatepass")
    return "".join(username.casefold().split()).encode("utf-8", "surrogatepass")


def parse_networks(texts: tuple[str, ...]) -> tuple[IPNetwork, ...]:
    """Return networks in CIDR notation. Raises ValueError, naming the one that is none."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)
