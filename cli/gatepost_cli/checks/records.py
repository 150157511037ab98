"""The DNS records of every registered sender domain, as ``gatepost domain check`` sees them."""

from __future__ import annotations

from collections.abc import Iterator

from gatepost_cli import dnscheck
from gatepost_cli.checks.base import Context, Finding, fault, good, note
from gatepost_cli.dnslookup import Lookup
from gatepost_core.store import domains


def dns(context: Context) -> Iterator[Finding]:
    """Look up each domain's records: DKIM, SPF, DMARC, click domain, bounce domain."""
    with context.directory() as connection:
        registered = domains.list_all(connection)
    if not registered:
        yield good("sender domains", "none is registered")
        return
    lookup = Lookup(context.resolver, context.settings.doctor.timeout)
    for domain in registered:
        for one in dnscheck.check(domain, context.hostname, lookup, context.now):
            yield _finding(domain.name, one)


def _finding(domain: str, one: dnscheck.Finding) -> Finding:
    where = f"{domain}: {one.what}, {one.type or 'keys'} at {one.name}"
    found = "; ".join(one.found) or one.status
    if one.status == "ok":
        return good(where, found)
    if one.status == "note":
        return note(where, found, one.expected, one.advice)
    return fault(where, found, one.expected, one.advice)
