"""Whether an SPF record lets an address send (RFC 7208): as much of it as answers that for one known server.

Macros and ``exists`` and ``ptr`` are taken as no match. Look-ups are bounded as in section 4.6.4: beyond ten,
a record is in error and lets nobody send.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Protocol

_LOOKUPS_MOST = 10


class Lookup(Protocol):
    """What is asked of the DNS."""

    def txt(self, name: str) -> list[str]:
        """Return TXT records."""
        ...

    def mx(self, name: str) -> list[tuple[int, str]]:
        """Return MX records."""
        ...

    def addresses(self, name: str) -> list[str]:
        """Return a host's addresses."""
        ...


class _PermError(Exception):
    """The record cannot be evaluated."""


def allows(domain: str, record: str, address: str, lookup: Lookup) -> bool:
    """Say whether ``record`` of ``domain`` gives "pass" for ``address``."""
    try:
        return _Evaluation(address, lookup).result(domain, record) == "+"
    except _PermError:
        return False


class _Evaluation:
    def __init__(self, address: str, lookup: Lookup) -> None:
        self._address = address
        self._lookup = lookup
        self._lookups = 0

    def result(self, domain: str, record: str) -> str:
        """Return the qualifier of the first mechanism that matches; "?" for none. Raises _PermError."""
        redirect = ""
        for term in record.split()[1:]:
            qualifier, body = (term[0], term[1:]) if term[0] in "+-~?" else ("+", term)
            if body.lower().startswith("redirect="):
                redirect = body.partition("=")[2]
            elif "=" not in body.partition(":")[0] and self._matches(body, domain):
                return qualifier
        if redirect:
            return self.result(redirect, self._record(redirect))
        return "?"

    def _matches(self, mechanism: str, domain: str) -> bool:
        head, _, value = mechanism.partition(":")
        name, slash, length = head.lower().partition("/")
        if name == "all":
            return True
        if name in ("ip4", "ip6"):
            return self._within(value)
        if name == "include":
            return self.result(value, self._record(value)) == "+"
        if name not in ("a", "mx"):
            return False
        if value:
            value, slash, length = value.partition("/")
        self._count()
        hosts = [value or domain]
        if name == "mx":
            hosts = [host for _, host in self._lookup.mx(hosts[0]) if host]
        addresses = [one for host in hosts[:_LOOKUPS_MOST] for one in self._lookup.addresses(host)]
        return any(self._within(one + self._prefix(one, slash + length)) for one in addresses)

    def _prefix(self, address: str, lengths: str) -> str:
        """Return the prefix length of ``/24//64`` that is for an address of this kind."""
        four, _, six = lengths.partition("//")
        if ":" in address:
            return f"/{six}" if six else ""
        return four

    def _within(self, network: str) -> bool:
        try:
            return ip_address(self._address) in ip_network(network, strict=False)
        except ValueError as error:
            raise _PermError(network) from error

    def _record(self, domain: str) -> str:
        self._count()
        found = [text for text in self._lookup.txt(domain) if f"{text.lower()} ".startswith("v=spf1 ")]
        if len(found) != 1:
            raise _PermError(domain)
        return found[0]

    def _count(self) -> None:
        self._lookups += 1
        if self._lookups > _LOOKUPS_MOST:
            raise _PermError("too many look-ups")
