"""Where failed logins are counted: the places that a user name and an address stand for, and their limits.

A failure counts for its user in the network and, in IPv6, in the wider networks around it, since whoever has
a /48 has 65,536 times a /64; then for the networks alone, whoever's name it was; and for the user anywhere,
which locks nobody out (guessing.py).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Literal, TypeAlias

Scope: TypeAlias = Literal["", "user", "network"]
IPNetwork: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

# What a site, or a customer of a provider, usually has: each counts twice as much as the one before.
_WIDER = (56, 48)


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
class Place:
    """One counter: ``wide`` is for those that are kept in a table of their own."""

    scope: Scope
    key: bytes
    limit: int
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Places:
    """Where an attempt is counted, user first; ``anywhere`` and ``here`` are keys without a limit.

    ``here`` stands for the user's having logged in from this network.
    """

    limited: tuple[Place, ...]
    anywhere: bytes
    here: bytes


def places_of(username: str, address: str, rules: Rules) -> Places:
    """Return the places of a user name and an address, as they were given."""
    user = _folded(username)
    networks, shared = _networks(address, rules)
    limited = []
    if rules.limit:
        limited += [
            Place("user", b"%s\0%s" % (user, name), rules.limit << level, level > 0)
            for level, name in enumerate(networks)
        ]
    if rules.network_limit and not shared:
        limited += [
            Place("network", name, rules.network_limit << level, level > 0)
            for level, name in enumerate(networks)
        ]
    return Places(tuple(limited), b"%s\0*" % user, b"%s\0=%s" % (user, networks[0]))


def network_of(address: str, rules: Rules) -> tuple[bytes, int]:
    """Return the network that stands for an address (the text itself when it is none), and its limit."""
    networks, shared = _networks(address, rules)
    return networks[0], 0 if shared else rules.network_limit


def _networks(address: str, rules: Rules) -> tuple[list[bytes], bool]:
    """Return an address's networks, the narrowest first, and whether many people log in from there."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return [address.encode("utf-8", "surrogatepass")], False
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip
    prefixes = [rules.ipv4_prefix]
    if ip.version == 6:
        prefixes = [rules.ipv6_prefix, *(prefix for prefix in _WIDER if prefix < rules.ipv6_prefix)]
    names = [str(ipaddress.ip_network((ip, prefix), strict=False)).encode() for prefix in prefixes]
    return names, any(ip in one for one in rules.shared)


def parse_networks(texts: tuple[str, ...]) -> tuple[IPNetwork, ...]:
    """Return networks in CIDR notation. Raises ValueError, naming the one that is none."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def _folded(username: str) -> bytes:
    """Return a name in the one spelling that is counted; no NUL is in it."""
    if username.isalnum() and username.islower():
        return username.encode("utf-8", "surrogatepass")
    return "".join(username.casefold().split()).encode("utf-8", "surrogatepass")
