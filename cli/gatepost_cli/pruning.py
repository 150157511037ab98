"""Letting go of old messages while somebody watches: batch by batch, slower while mail flows.

Each batch is committed by itself, so it may be interrupted after any of them. Whether mail flows is told by
the spool, which grows then; whoever may not read it goes slowly.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from gatepost_cli.session import CliSession
from gatepost_core.spool import Ends, ends
from gatepost_core.store.ingest import retention
from gatepost_core.store.ingest.retention import Kept, Pruned

# Of all time, what is spent on it while mail flows: a tenth of a small machine's two cores.
_SHARE: Final = 0.2
_LOOK_SECONDS: Final = 1.0


def kept(session: CliSession, days: int | None) -> Kept:
    """Return how long messages are kept: by accounts and settings, or for ``days`` at most."""
    with session.directory() as connection:
        keep = retention.kept(connection, session.settings.store.keep_days)
    return retention.shorter(keep, days) if days else keep


def old(session: CliSession, keep: Kept) -> int:
    """Return how many messages are older than they are to be kept. Raises StoreUnavailable."""
    return retention.old(session.journal, keep, session.now)


def run(session: CliSession, keep: Kept, number: int) -> Pruned:
    """Let go of messages, about ``number``, and show how far it is. Raises StoreUnavailable."""
    pace = Pace(session.settings.spool.directory)
    with session.store.transactions() as begin:
        batches = pace.paced(retention.prune(begin, keep, session.now))
        last = deque(_watched(batches, number) if sys.stderr.isatty() else batches, maxlen=1)
    return last[0] if last else Pruned()


class Pace:
    """Rests between batches while mail flows. ``clock``: monotonic seconds."""

    def __init__(
        self,
        spool: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._spool = spool
        self._clock = clock
        self._sleep = sleep
        self._ends: Ends = {}
        self._looked = -_LOOK_SECONDS
        self._flows = True

    def paced(self, batches: Iterable[Pruned]) -> Iterator[Pruned]:
        """Yield what ``batches`` does, each after a rest in proportion to what it took."""
        began = self._clock()
        for batch in batches:
            yield batch
            if self._mail_flows():
                self._sleep((self._clock() - began) * (1 - _SHARE) / _SHARE)
            began = self._clock()

    def _mail_flows(self) -> bool:
        """Say whether the spool has grown within the last second or so."""
        now = self._clock()
        if now - self._looked >= _LOOK_SECONDS:
            before, self._looked = self._ends, now
            try:
                self._ends = ends(self._spool)
                self._flows = self._ends != before
            except FileNotFoundError:  # nothing was ever sent
                self._flows = False
            except OSError:
                self._flows = True
        return self._flows


def _watched(batches: Iterable[Pruned], number: int) -> Iterator[Pruned]:
    """Show a bar on standard error while batches come."""
    from rich.console import Console  # noqa: PLC0415 - rich is not quick to load
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("messages"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=number)
        for batch in batches:
            progress.update(task, completed=min(batch.messages, number))
            yield batch
