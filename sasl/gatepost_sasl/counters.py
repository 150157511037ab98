"""The counters by which sasl's workers hold off guessing, as its settings say."""

from __future__ import annotations

from collections.abc import Callable

from gatepost_core.domain.logins.guessing import Guard, Rules, parse_networks
from gatepost_core.serving.counting import SharedCounters
from gatepost_core.settings import SaslSettings

# For logins of which each counts at several places.
_UNDER_WAY_BUCKETS = 1024


def guards(sasl: SaslSettings) -> Callable[[int], Guard]:
    """Return what makes a worker's view, by its slot, of the counters that all workers share."""
    rules = Rules(
        limit=sasl.guess_limit,
        network_limit=sasl.guess_network_limit,
        lockout=sasl.guess_lockout,
        ipv4_prefix=sasl.guess_ipv4_prefix,
        ipv6_prefix=sasl.guess_ipv6_prefix,
        shared=parse_networks(sasl.guess_shared_networks),
    )
    users, networks, wide = SharedCounters(), SharedCounters(), SharedCounters()
    under_way = [SharedCounters(_UNDER_WAY_BUCKETS) for _ in range(sasl.workers)]

    def guard_of(slot: int) -> Guard:
        under_way[slot].empty()  # of a worker that was killed
        return Guard(users, networks, rules, wide, under_way, slot)

    return guard_of
