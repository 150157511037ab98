"""Counts of hours, as many as there is time for: what is long ago is counted once, and remembered.

A month of a large gateway takes seconds to add up. So a day that is over is added up by itself; whoever asks
gets what there is after a moment, the newest days first, and asks again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from gatepost_core.domain.memo import Recent
from gatepost_core.service.context import Context
from gatepost_core.service.reach import reach
from gatepost_core.store.ingest import stats
from gatepost_core.store.ingest.stats import Counts

PATIENCE: Final = 0.15
# What is told of a message belongs to the hour in which it happened; after so long nothing new is told.
_SETTLED: Final = timedelta(days=2)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
# Whose store, which account, since when it is counted, which day.
_Key = tuple[str, int | None, datetime | None, datetime]
_known: Recent[_Key, Mapping[datetime, Counts]] = Recent(2_000)


class Counted(NamedTuple):
    """Counts by the hour; ``whole``: all that were asked for."""

    hours: Mapping[datetime, Counts]
    whole: bool


def counts(
    context: Context,
    since: datetime,
    account: str | None = None,
    *,
    patience: float = PATIENCE,
    ticks: Callable[[], float] = time.monotonic,
) -> Counted:
    """Return what was counted in each hour from ``since`` on, or in each day where that is long ago.

    Raises NotFound for another's account.
    """
    context.need("stats", write=False)
    seen = reach(context, account)
    now, until = context.now, ticks() + patience
    # Of a longer time whole days: what is remembered of a day is not divided.
    begin = since if now - since <= _SETTLED else _midnight(since)
    first = (seen.later(begin) or begin).astimezone(UTC)
    day, found, whole, done = _midnight(now), dict[datetime, Counts](), True, 0
    with context.store.journal() as connection:
        while day + _DAY > first:
            key = (str(context.settings.store.url), seen.account_id, seen.since, day)
            settled, known = day + _DAY < now - _SETTLED, _known.get(key)
            if known is None and settled and done and ticks() >= until:
                whole = False
            elif known is None:
                known = stats.by_hour(connection, day, seen.account_id, day + _DAY)
                if settled:
                    done += 1  # one at least, or nobody would ever come to an end
                    known = {day: _together(known.values())}
                    _known.put(key, known)
            found |= {hour: one for hour, one in (known or {}).items() if hour > first - _HOUR}
            day -= _DAY
    return Counted(found, whole)


def _together(several: Iterable[Counts]) -> Counts:
    """Return the counts of several hours as those of one time."""
    whole = Counts("")
    for one in several:
        whole.recipients += one.recipients
        for type_, number in one.events.items():
            whole.events[type_] = whole.events.get(type_, 0) + number
        for type_, kinds in one.kinds.items():
            mine = whole.kinds.setdefault(type_, {})
            for kind, number in kinds.items():
                mine[kind] = mine.get(kind, 0) + number
    return whole


def _midnight(time_: datetime) -> datetime:
    return time_.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
