"""Where logins come from: one address for most of them is a load balancer that keeps the true ones to itself.

Then one guesser's failures count against everybody who comes that way, and rules by network mean nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from gatepost_cli.checks.base import Context, Finding, good, note
from gatepost_cli.owner import as_owner_of
from gatepost_core.domain.rules import network_allowed
from gatepost_core.domain.rules.places import Kind
from gatepost_core.serving.places import read
from gatepost_core.store import credentials
from gatepost_core.store.ingest import usage

_LATELY, _OLD = timedelta(days=7), timedelta(days=90)
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
    shared = context.settings.sasl.guess_shared_networks
    if used < _LEAST or most <= _SHARE * used or (shared and network_allowed(shared, address)):
        yield good(looked_at, f"{used} credentials in a week, {most} of them from one address at the most")
        return
    yield note(
        looked_at,
        f"{most} of {used} credentials logged in last from {address}",
        "the clients' own addresses; behind one address, one guesser locks out everybody",
        "if it is a load balancer: have it send the PROXY protocol, and set postfix.proxy_ports (see "
        "docs/deploy/postfix.md); if hosts there log in for many people: set sasl.guess_shared_networks",
    )


def places(context: Context) -> Iterator[Finding]:
    """Read the files that tell places to rules that hold mail from new ones."""
    files = context.settings.hold.place_databases
    with context.directory() as connection:
        wanted = credentials.place_kinds(connection)
    if not wanted and not any(files.values()):
        yield good("places", "no rule asks for any")
    for kind in [one for one in files if files[one] or one in wanted]:
        with as_owner_of(context.store.home):
            found = read(files[kind], Kind(kind))
        said, old = f"{found.type} of {found.built_at:%Y-%m-%d}", context.now - found.built_at > _OLD
        advice = "see that whatever updates it runs, such as geoipupdate"
        yield note(files[kind], said, "of the last 90 days", advice) if old else good(files[kind], said)
