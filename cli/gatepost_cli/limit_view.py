"""How full limits are, as data, and as a table with bars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gatepost_cli.output import Table
from gatepost_cli.owner import as_owner_of
from gatepost_core.domain.limits import Bucket, Charge, Charges, Kind, verdicts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost_cli.session import CliSession
    from gatepost_core.domain import Credential
    from gatepost_core.domain.limits import Counters

_BAR = 10
_FULL, _EMPTY = "█", "░"
COLUMNS = ("limit", "of", "used", "share", "resets")


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
        """Return it as plain values for JSON."""
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

    def row(self, *, bars: bool) -> tuple[str, ...]:
        """Return it as a row of ``COLUMNS``; with ``bars`` as narrow as it can be."""
        charge = self.charge
        kind, name = (
            charge.limit.kind,
            charge.name if charge.scope == "credential" else f"all of {charge.name}",
        )
        used = f"{amount(self.used, kind)} of {amount(charge.most, kind)}"
        what = verdicts.span(charge) if charge.burst else f"{kind.value} {verdicts.span(charge)}"
        what += " (hold)" if charge.limit.hold else ""
        if bars:
            what = what if charge.scope == "credential" else f"account: {what}"
            return what, name, used, bar(self.share), f"{self.resets[:10]} {self.resets[11:16]}Z"
        return (
            str(charge.limit) + (" burst" if charge.burst else ""),
            name,
            used,
            f"{self.share} %",
            self.resets,
        )


def amount(number: int, kind: Kind) -> str:
    """Return a number for people; bytes in the largest unit that has three digits at the most before it."""
    if kind is not Kind.BYTES or number < 10_000:
        return f"{number:,}"
    power = min((len(str(number)) - 1) // 3, 4)
    return f"{number / 1000**power:.3g}{' KMGT'[power]}"


def bar(share: int) -> str:
    """Return a bar of how full something is, with its per cent; it is whole only at 100."""
    filled = min(share, 100) * _BAR // 100
    return f"{_FULL * filled}{_EMPTY * (_BAR - filled)} {share:3} %"


@contextmanager
def counters(session: CliSession) -> Iterator[Counters]:
    """Have the counters open, opened as the owner of their folder. Raises StoreUnavailable."""
    from gatepost_core.store import open_counters  # noqa: PLC0415 - `gatepost --help` does without

    file = session.settings.limits.counters
    opened = open_counters(file, session.settings.store.journal)
    try:
        with as_owner_of(file.parent):
            opened.keep()  # the connection is made now, and kept
        yield opened
    finally:
        opened.close()


def charges(session: CliSession, credential: Credential) -> tuple[Charge, ...]:
    """Return what a message that takes nothing is counted by: all limits of a credential and its account."""
    found = Charges(session.settings.limits.defaults)
    return found.of(credential, session.now.timestamp(), recipients=0, messages=0)


def gauges(opened: Counters, wanted: Sequence[Charge]) -> list[Gauge]:
    """Return how full each limit is. Raises StoreUnavailable."""
    found = opened.look([charge.want for charge in wanted])
    return [
        Gauge(charge, verdicts.used(buckets), verdicts.moment(_frees(charge, buckets)))
        for charge, buckets in zip(wanted, found, strict=True)
    ]


def table(found: Iterable[Gauge], *, bars: bool) -> Table:
    """Return limits as rows."""
    return Table(COLUMNS, [one.row(bars=bars) for one in found], drop=("of",))


def _frees(charge: Charge, buckets: Sequence[Bucket]) -> int:
    """Return when a full limit has room, or what is oldest in one with room counts no longer."""
    want = charge.want
    if want.first == want.start or verdicts.used(buckets) >= charge.most:
        return verdicts.resets(want._replace(most=charge.most), buckets)
    oldest = next((bucket.start for bucket in buckets if bucket.used), want.start)
    return oldest + want.ends - want.start
