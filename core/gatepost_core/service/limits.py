"""How full limits are: of credentials, and of their accounts above them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gatepost_core.domain import Credential
from gatepost_core.domain.limits import Bucket, Charge, Charges, Looking, verdicts
from gatepost_core.service import credentials
from gatepost_core.service.context import Context
from gatepost_core.store import CountersReader
from gatepost_core.store.credentials.listing import Wanted
from gatepost_core.store.paging import Page

KIND: Final = "limits"


@dataclass(frozen=True, slots=True)
class Gauge:
    """A counter, and how much of it is used; ``resets`` is when what counts now begins to count no longer."""

    charge: Charge
    used: int
    resets: str

    @property
    def share(self) -> int:
        """Per cent that are used, rounded down, so that 100 is full."""
        return self.used * 100 // self.charge.most

    def data(self) -> dict[str, Any]:
        """Return it as plain values."""
        limit = self.charge.limit
        return {
            "limit": str(limit),
            "scope": self.charge.scope,
            "name": self.charge.name,
            "kind": limit.kind.value,
            "period": limit.period.value,
            "sliding": limit.sliding,
            "burst": self.charge.burst,
            "hold": limit.hold,
            "most": self.charge.most,
            "used": self.used,
            "share": self.share,
            "resets": self.resets,
        }


def gauges(opened: Looking, wanted: Sequence[Charge]) -> list[Gauge]:
    """Return how full each limit is. Raises StoreUnavailable."""
    found = opened.look([charge.want for charge in wanted])
    return [
        Gauge(charge, verdicts.used(buckets), verdicts.moment(_frees(charge, buckets)))
        for charge, buckets in zip(wanted, found, strict=True)
    ]


def charges(context: Context, chosen: Iterable[Credential]) -> Iterator[Charge]:
    """Yield what a message of these that takes nothing is counted by, each counter once.

    An account's are those of all its credentials.
    """
    seen, now = set[str](), context.now.timestamp()
    every = Charges(context.settings.limits.defaults)
    for credential in chosen:
        for charge in every.of(credential, now, recipients=0, messages=0):
            if charge.want.key not in seen:
                seen.add(charge.want.key)
                yield charge


def of_credential(context: Context, username: str) -> list[Gauge]:
    """Return how full the limits of one credential, and of its account, are. Raises NotFound."""
    context.need(KIND, write=False)
    return _look(context, [credentials.find(context, username)])


def page(context: Context, account: str | None, limit: int, after: int | None = None) -> Page[Gauge]:
    """Return the limits of the newest credentials, at most ``limit`` of these, and of their accounts."""
    context.need(KIND, write=False)
    found = credentials.listed(context, Wanted(account), limit, after)
    return Page(_look(context, found), str(found[-1].id) if len(found) == limit else "")


def _look(context: Context, chosen: Iterable[Credential]) -> list[Gauge]:
    reader = CountersReader(context.settings.limits.counters)
    try:
        return gauges(reader, list(charges(context, chosen)))
    finally:
        reader.close()


def _frees(charge: Charge, buckets: Sequence[Bucket]) -> int:
    """Return when a full limit has room, or what is oldest in one with room counts no longer."""
    want = charge.want
    if want.first == want.start or verdicts.used(buckets) >= charge.most:
        return verdicts.resets(want._replace(most=charge.most), buckets)
    oldest = next((bucket.start for bucket in buckets if bucket.used), want.start)
    return oldest + want.ends - want.start
