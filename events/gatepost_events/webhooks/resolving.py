"""Which addresses a webhook's name has, and which of them may be connected to.

Names are asked of the DNS without threads: a name server that does not answer holds up nobody else. What
counts is the address at the moment of connecting: whatever was looked up before, no other is used.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any, Final

import dns.asyncresolver
import dns.exception
import dns.resolver
from aiohttp.abc import AbstractResolver, ResolveResult

from gatepost_core.store.webhooks.urls import forbidden

_CACHED: Final = 4_096
_HOSTS: Final = Path("/etc/hosts")
_HOSTS_SECONDS: Final = 60.0
_SECONDS: Final = 10.0
_TYPES: Final = {socket.AF_INET: "A", socket.AF_INET6: "AAAA"}


class Forbidden(OSError):  # noqa: N818 - reads as what it says
    """An address that this endpoint may not be sent to; the text says why."""


class Names(AbstractResolver):
    """Asks /etc/hosts, then the DNS servers of /etc/resolv.conf. Made within the event loop."""

    def __init__(self) -> None:
        self._resolver: dns.asyncresolver.Resolver | None = None
        self._hosts: dict[str, list[str]] = {}
        self._hosts_until = 0.0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a name. Raises OSError."""
        families = list(_TYPES) if family == socket.AF_UNSPEC else [family]
        known = self._known().get(host.lower().rstrip("."))
        found: list[ResolveResult] = []
        why = "it has no address"
        for one in families:
            if known is not None:
                addresses = [text for text in known if (":" in text) == (one == socket.AF_INET6)]
            else:
                addresses, why = await self._asked(host, one, why)
            found += [_result(host, text, port, one) for text in addresses]
        if not found:
            raise OSError(f"{host}: {why}")
        return found

    async def close(self) -> None:
        """Nothing stays open between two questions."""

    async def _asked(self, host: str, family: int, why: str) -> tuple[list[str], str]:
        try:
            answer = await self._servers().resolve(
                host, _TYPES[socket.AddressFamily(family)], search=False, lifetime=_SECONDS
            )
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return [], why
        except dns.exception.DNSException as error:
            return [], f"its address cannot be found: {error}"
        return [record.to_text() for record in answer], why

    def _servers(self) -> dns.asyncresolver.Resolver:
        if self._resolver is None:
            try:
                self._resolver = dns.asyncresolver.Resolver()
            except dns.exception.DNSException as error:
                raise OSError(f"no DNS server is known: {error}") from error
            self._resolver.cache = dns.resolver.LRUCache(_CACHED)
        return self._resolver

    def _known(self) -> dict[str, list[str]]:
        now = time.monotonic()
        if now >= self._hosts_until:
            self._hosts_until = now + _HOSTS_SECONDS
            self._hosts = _read_hosts()
            self._resolver = None  # the servers may be others by now
        return self._hosts


def checked_socket(info: tuple[Any, ...]) -> socket.socket:
    """Return a socket for an address as getaddrinfo(3) gives it. Raises Forbidden for one that may not be.

    This host's own addresses are no public ones either: what listens there may count on its firewall.
    """
    family, kind, protocol, _, address = info
    why = forbidden(str(address[0]))
    if not why and _is_own(family, address):
        why = "an address of this host itself"
    if why:
        raise Forbidden(f"{address[0]} is {why}, and this webhook may not lead there")
    return socket.socket(family, kind, protocol)


def _is_own(family: int, address: tuple[Any, ...]) -> bool:
    """Say whether an address is this host's: its own datagrams to it come from it. Nothing is sent."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(address)
        except OSError:  # no way there; the connection will tell
            return False
        return bool(probe.getsockname()[0] == address[0])


def _result(host: str, address: str, port: int, family: int) -> ResolveResult:
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=flags)


def _read_hosts() -> dict[str, list[str]]:
    """Return the addresses of /etc/hosts by name (hosts(5))."""
    found: dict[str, list[str]] = {}
    try:
        lines = _HOSTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return found
    for line in lines:
        address, *names = line.partition("#")[0].split() or [""]
        for name in names:
            found.setdefault(name.lower(), []).append(address)
    return found
