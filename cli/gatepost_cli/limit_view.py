"""How full limits are, as data, and as a table with bars."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gatepost_cli.output import Table
from gatepost_cli.owner import as_owner_of
from gatepost_core.domain.limits import Kind, verdicts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost_cli.session import CliSession
    from gatepost_core.domain.limits import Counters
    from gatepost_core.service.limits import Gauge

_BAR = 10
_FULL, _EMPTY = "█", "░"
COLUMNS = ("limit", "of", "used", "share", "resets")


def row(one: Gauge, *, bars: bool) -> tuple[str, ...]:
    """Return a limit as a row of ``COLUMNS``; with ``bars`` as narrow as it can be."""
    charge = one.charge
    kind, name = (
        charge.limit.kind,
        charge.name if charge.scope == "credential" else f"all of {charge.name}",
    )
    used = f"{amount(one.used, kind)} of {amount(charge.most, kind)}"
    what = verdicts.span(charge) if charge.burst else f"{kind.value} {verdicts.span(charge)}"
    what += " (hold)" if charge.limit.hold else ""
    if bars:
        what = what if charge.scope == "credential" else f"account: {what}"
        return what, name, used, bar(one.share), f"{one.resets[:10]} {one.resets[11:16]}Z"
    return (
        str(charge.limit) + (" burst" if charge.burst else ""),
        name,
        used,
        f"{one.share} %",
        one.resets,
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


def table(found: Iterable[Gauge], *, bars: bool) -> Table:
    """Return limits as rows."""
    return Table(COLUMNS, [row(one, bars=bars) for one in found], drop=("of",))
