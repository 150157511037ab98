"""How full the limits of several credentials are now, each with those of its account."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from gatepost_core.domain import Credential, StoreUnavailable
from gatepost_core.service.context import Context
from gatepost_core.service.limits import KIND, Gauge, charges, gauges
from gatepost_core.store import CountersReader

__all__ = ["KIND", "Gauge", "of_each"]


def of_each(context: Context, credentials: Sequence[Credential]) -> list[list[Gauge]]:
    """Return the limits of each credential and of its account; of none where counters cannot be read.

    That is a fault which policy and doctor tell of, and no reason to show nothing at all.
    """
    context.need(KIND, write=False)
    wanted = list(charges(context, credentials))
    found: list[Gauge] = []
    try:
        with closing(CountersReader(context.settings.limits.counters)) as counters:
            found = gauges(counters, wanted)
    except StoreUnavailable:
        return [[] for _ in credentials]
    return [[gauge for gauge in found if _is_of(gauge, one)] for one in credentials]


def _is_of(gauge: Gauge, one: Credential) -> bool:
    own = gauge.charge.scope == "credential"
    return gauge.charge.name == (one.username if own else one.account)
