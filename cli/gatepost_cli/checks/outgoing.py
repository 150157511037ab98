"""Whether other servers will take this one's mail: DNS records, its addresses' names, port 25 outwards.

Receivers refuse mail of an address whose PTR record does not lead to a name that leads back (RFC 1912
section 2.1; Gmail and Microsoft say so). Many providers close port 25 outwards until they are asked.
"""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gatepost_cli import dnscheck
from gatepost_cli.checks.base import Context, Finding, fault, good, note
from gatepost_cli.dnslookup import Lookup, LookupFault, Unreachable
from gatepost_core.store import domains

_QUEUE_MOST = 5_000  # messages of the queue that are looked at: enough to see what all of them wait for
_LINE_MOST = 1_000_000
_HOSTS_LEAST = 3
_SMTP = 25
_OTHER = "set doctor.outgoing to a domain that receives mail"
_PROVIDER = "ask this host's provider to open port 25 outwards, or relay through a smart host (relayhost)"


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
            yield _record(domain.name, one)


def _record(domain: str, one: dnscheck.Finding) -> Finding:
    where = f"{domain}: {one.what}, {one.type or 'keys'} at {one.name}"
    found = "; ".join(one.found) or one.status
    if one.status == "ok":
        return good(where, found)
    return (note if one.status == "note" else fault)(where, found, one.expected, one.advice)


def outgoing(context: Context) -> Iterator[Finding]:
    """Look at PTR records, at what the queue waits for, and at the server that ``doctor.outgoing`` names."""
    yield from _reverse(context)
    if context.postconf("-xh", "relayhost").strip():
        yield good("port 25, outwards", "not needed: relayhost is set")
        return
    yield _queue(context)
    if context.settings.doctor.outgoing:
        yield _greeted(context, context.settings.doctor.outgoing)


def _reverse(context: Context) -> Iterator[Finding]:
    lookup, hostname = Lookup(context.resolver, context.settings.doctor.timeout), context.hostname
    try:
        addresses = lookup.addresses(hostname)
    except (LookupFault, Unreachable) as error:
        yield note(f"addresses of {hostname}", str(error), "an answer", "look at the DNS of that name")
        return
    if not addresses:
        advice = "publish this server's public addresses, or set postfix.hostname to its public name"
        yield note(f"addresses of {hostname}", "none in the DNS", "A or AAAA records", advice)
    for address in addresses:
        yield _named(lookup, hostname, address)


def _named(lookup: Lookup, hostname: str, address: str) -> Finding:
    where = f"PTR of {address}"
    try:
        names = lookup.names(address)
    except (LookupFault, Unreachable) as error:
        return note(where, str(error), hostname, "look at the reverse zone of that address")
    if hostname in names:
        return good(where, hostname)
    advice = f"have who gave you {address} set its PTR record (reverse DNS) to {hostname}"
    return fault(where, " ".join(names) or "missing", hostname, advice)


def _queue(context: Context) -> Finding:
    silent = unanswered(_queued(context))
    if len(silent) < _HOSTS_LEAST:
        return good("queue", "does not speak of a closed port 25")
    few = ", ".join(sorted(silent)[:_HOSTS_LEAST])
    found = f"{len(silent)} servers did not answer on port 25, {few} among them, and none did"
    return fault("queue", found, "servers that answer", _PROVIDER)


def unanswered(queued: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the servers that deferred messages wait for in vain, or none if any server has answered one.

    When nobody answers on port 25, it is closed on the way out; one that answers shows that it is open.
    """
    silent: set[str] = set()
    for message in queued:
        for recipient in message.get("recipients", ()):
            reason = str(recipient.get("delay_reason", ""))
            if reason.startswith("host "):
                return set()
            host, port, what = reason.partition(f"]:{_SMTP}: ")
            if port and host.startswith("connect to ") and "timed out" in what:
                silent.add(host.removeprefix("connect to ").partition("[")[0])
    return silent


def _queued(context: Context) -> Iterator[Mapping[str, Any]]:
    """Yield messages of the queue, or some of many, as postqueue(1) prints them: an object a line."""
    command = ["/usr/sbin/postqueue", "-c", str(context.postfix_directory), "-j"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        for _ in range(_QUEUE_MOST):
            line = process.stdout.readline(_LINE_MOST)
            if not line:
                break
            if line.endswith(b"\n"):  # one that is longer has more recipients than tell anything new
                yield json.loads(line)
        process.kill()


def _greeted(context: Context, domain: str) -> Finding:
    """Connect to a mail server of ``domain``, read its greeting, and leave."""
    where = f"port 25 of {domain}'s mail server"
    lookup = Lookup(context.resolver, context.settings.doctor.timeout)
    try:
        host = next((name for _, name in lookup.mx(domain)), domain)
        address = next(iter(lookup.addresses(host)), "")
    except (LookupFault, Unreachable) as error:
        return note(where, str(error), "an MX record", _OTHER)
    if not address:
        return note(where, f"{host} has no address", "an MX record that leads to one", _OTHER)
    try:
        with socket.create_connection((address, _SMTP), context.settings.doctor.timeout) as connection:
            greeting = connection.recv(512)
            connection.sendall(b"QUIT\r\n")
    except OSError as error:
        return fault(where, f"{host}[{address}]: {error.strerror or error}", "a greeting", _PROVIDER)
    if greeting.startswith(b"220"):
        return good(where, f"{host} answers")
    said = greeting.decode("ascii", "replace").strip() or "nothing"
    return note(where, f"{host} says {said}", "220", "see whether this address is on a blocklist")
