"""Asking the DNS, with dnspython: the only part of ``domain check`` that touches the network.

A name that does not exist, or has no such record, is an empty answer. ``LookupFault`` says that one question
was not answered; ``Unreachable`` that the server cannot be asked at all.
"""

from __future__ import annotations

from typing import Any

import dns.exception
import dns.name
import dns.resolver
import dns.reversename


class LookupFault(Exception):  # noqa: N818 - what happened to one question
    """The DNS server failed for one question; the text says how."""


class Unreachable(OSError):  # noqa: N818 - a condition that passes
    """The DNS server does not answer; the text names it."""


class Lookup:
    """Asks one server, or those of this host's resolv.conf. Raises Unreachable when there is none."""

    def __init__(self, server: tuple[str, int] | None, timeout: float) -> None:
        try:
            self._resolver = dns.resolver.Resolver(configure=server is None)
        except dns.resolver.NoResolverConfiguration as error:
            raise Unreachable("this host has no DNS server configured; name one with --resolver") from error
        if server is not None:
            self._resolver.nameservers = [server[0]]
            self._resolver.port = server[1]
        self._resolver.lifetime = timeout
        self._server = "this host's DNS server" if server is None else f"DNS server {server[0]}:{server[1]}"

    def txt(self, name: str) -> list[str]:
        """Return the texts of a name's TXT records, the strings of each put together."""
        return [
            b"".join(record.strings).decode("utf-8", "backslashreplace") for record in self._ask(name, "TXT")
        ]

    def cname(self, name: str) -> str:
        """Return where a name's CNAME leads, without the last dot; empty if it has none."""
        return next((_text(record.target) for record in self._ask(name, "CNAME")), "")

    def mx(self, name: str) -> list[tuple[int, str]]:
        """Return preference and host of a name's MX records, the best first."""
        return sorted((record.preference, _text(record.exchange)) for record in self._ask(name, "MX"))

    def addresses(self, name: str) -> list[str]:
        """Return the IPv4 and IPv6 addresses of a name, CNAMEs followed."""
        return [record.address for kind in ("A", "AAAA") for record in self._ask(name, kind)]

    def names(self, address: str) -> list[str]:
        """Return the names that an address's PTR records give it."""
        return [
            _text(record.target)
            for record in self._ask(dns.reversename.from_address(address).to_text(), "PTR")
        ]

    def _ask(self, name: str, kind: str) -> list[Any]:
        try:
            return list(self._resolver.resolve(dns.name.from_text(name), kind, search=False))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except dns.resolver.NoNameservers as error:
            raise LookupFault(f"the DNS server failed ({_rcode(error)})") from error
        except dns.exception.Timeout as error:
            raise Unreachable(f"{self._server} does not answer; name another with --resolver") from error
        except dns.exception.DNSException as error:
            raise LookupFault(f"the name cannot be looked up: {error}") from error


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower().rstrip(".")  # the root, a null MX, is empty


def _rcode(error: dns.resolver.NoNameservers) -> str:
    errors = error.kwargs.get("errors") or []
    return str(errors[-1][3]) if errors else "no answer"
