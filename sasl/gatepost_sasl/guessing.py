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
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

Scope: TypeAlias = Literal["", "user", "network"]
IPNetwork: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_FORGET = 4.0
_UNDELAYED = 2
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


@dataclass(frozen=True, slots=True)
class Guard:
    """Counts failures in ``users`` and ``networks``, two tables shared by all workers."""

    users: Counters
    networks: Counters
    rules: Rules = field(default_factory=Rules)

    def locked(self, username: str, address: str, now: float) -> Scope:
        """Say whether an attempt is to be refused unread, and what is locked out."""
        network, limit = self._network(address)
        if self._is_locked(self.users, _pair(username, network), self.rules.limit, now):
            return "user"
        return "network" if self._is_locked(self.networks, network.encode(), limit, now) else ""

    def failed(self, username: str, address: str, now: float) -> Hold:
        """Count a failure."""
        network, limit = self._network(address)
        count = self._add(self.users, _pair(username, network), self.rules.limit, now)
        if self.rules.limit and count > self.rules.limit:  # let through after a lock-out
            return Hold(_growth(count), "user")
        of_network = self._add(self.networks, network.encode(), limit, now)
        lockout: Scope = "network" if limit and of_network >= limit else ""
        return Hold(_growth(count), "user" if count and count == self.rules.limit else lockout)

    def refused(self, username: str, address: str, now: float) -> Hold:
        """Return how late an attempt is answered that is refused unread: as its latest failure was."""
        network, _ = self._network(address)
        count, _ = self.users.read(_pair(username, network), now, self._forget)
        return Hold(_growth(count))

    def succeeded(self, username: str, address: str) -> None:
        """Forget the failures of a user and network."""
        if self.rules.limit:
            self.users.clear(_pair(username, self._network(address)[0]))

    def _network(self, address: str) -> tuple[str, int]:
        """Return the network that stands for an address, and its limit."""
        rules = self.rules
        name, shared = network_of(address, rules.ipv4_prefix, rules.ipv6_prefix, rules.shared)
        return name, 0 if shared else rules.network_limit

    @property
    def _forget(self) -> float:
        return _FORGET * self.rules.lockout

    def _is_locked(self, counters: Counters, key: bytes, limit: int, now: float) -> bool:
        if not limit:
            return False
        count, latest = counters.read(key, now, self._forget)
        return count >= limit and now < latest + self.rules.lockout

    def _add(self, counters: Counters, key: bytes, limit: int, now: float) -> int:
        return counters.add(key, now, self._forget, limit - 1) if limit else 0


@functools.lru_cache(maxsize=4096)
def network_of(
    address: str, ipv4_prefix: int, ipv6_prefix: int, shared: tuple[IPNetwork, ...]
) -> tuple[str, bool]:
    """Return the network that stands for an address, the text itself when it is none; and whether shared."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address, False
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip
    prefix = ipv4_prefix if ip.version == 4 else ipv6_prefix
    network = ipaddress.ip_network((ip, prefix), strict=False)
    return str(network), any(ip in one for one in shared)


def delayed(usual: float, hold: Hold) -> float:
    """Return the seconds after which a failure is answered."""
    return max(usual, min(_DELAY_MOST, usual * hold.delay))


def _growth(count: int) -> float:
    return float(2 ** min(max(0, count - _UNDELAYED), 16))


def _pair(username: str, network: str) -> bytes:
    """Return the key of a user and network. NUL is in neither."""
    name = "".join(username.casefold().split())
    return f"{name}\0{network}".encode("utf-8", "surrogatepass")


def parse_networks(texts: tuple[str, ...]) -> tuple[IPNetwork, ...]:
    """Return networks in CIDR notation. Raises ValueError, naming the one that is none."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)
