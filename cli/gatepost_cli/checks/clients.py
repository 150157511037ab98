"""Where logins come from: one address for most of them is a load balancer that keeps the true ones to itself.

Then one guesser's failures count against everybody who comes that way, and rules by network mean nothing.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from gatepost_cli.checks.base import Context, Finding, good, note
from gatepost_core.store.ingest import usage

_LATELY = timedelta(days=7)
# Fewer credentials tell nothing: a small office is behind one address.
_LEAST = 10
_SHARE = 0.5


def clients(context: Context) -> Iterator[Finding]:
    """Count the credentials that logged in last, within a week, from each address."""
    since = context.now - _LATELY
    with context.journal() as connection:
        addresses = Counter(one.ip for one in usage.read(connection).values() if one.at >= since)
    used = addresses.total()
    address, most = addresses.most_common(1)[0] if addresses else ("", 0)
    looked_at = "addresses of logins"
    if (
        used < _LEAST
        or most <= _SHARE * used
        or _shared(address, context.settings.sasl.guess_shared_networks)
    ):
        yield good(looked_at, f"{used} credentials in a week, {most} of them from one address at the most")
        return
    yield note(
        looked_at,
        f"{most} of {used} credentials logged in last from {address}",
        "the clients' own addresses; behind one address, one guesser locks out everybody",
        "if it is a load balancer: have it send the PROXY protocol, and set postfix.proxy_ports (see "
        "docs/deploy/postfix.md); if hosts there log in for many people: set sasl.guess_shared_networks",
    )


def _shared(address: str, networks: tuple[str, ...]) -> bool:
    """Say whether an address is known to stand for many people."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip in ipaddress.ip_network(network) for network in networks)
