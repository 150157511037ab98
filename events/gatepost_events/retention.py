"""The thread that lets go of what is older than it is to be kept, slowly, so that mail does not feel it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from gatepost_core.domain import StoreUnavailable
from gatepost_core.serving import log
from gatepost_core.store.backend import Backend
from gatepost_events.report import Reporter

if TYPE_CHECKING:
    from gatepost_core.store.ingest.retention import Pruned

# Of all time, what may be spent on it; and the least rest after a batch, in seconds.
_SHARE: Final = 0.1
_REST: Final = 0.02
# While the spool has something: so much longer.
_BUSY: Final = 2.0


class Retention:
    """Looks every ``interval`` seconds. Use as a context manager.

    ``keep_days``: the setting, for accounts without days of their own; 0: for good. ``busy`` says whether the
    spool has something: then it rests longer.
    """

    def __init__(
        self, store: Backend, keep_days: int, interval: float, report: Reporter, busy: Callable[[], bool]
    ) -> None:
        self._store = store
        self._keep_days = keep_days
        self._interval = interval
        self._report = report
        self._busy = busy
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention")

    def __enter__(self) -> Retention:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._interval):
            try:
                self._look()
            except (StoreUnavailable, OSError) as error:
                log.warning("what is old cannot be let go of, trying again", error=str(error))
            except Exception as error:  # noqa: BLE001 - it must not end the daemon, nor stop for good
                log.error("internal error", exc_info=error)

    def _look(self) -> None:
        if self._store.keeps_for_good():
            return
        gone: Pruned | None = None
        began = time.monotonic()
        with self._pruning() as batches:
            for batch in batches:
                gone = batch
                if self._over.is_set():
                    break
                self._rest(time.monotonic() - began)
                began = time.monotonic()
        if gone is not None:
            self._report.pruned(gone.messages, gone.events)
            log.info("let go of what is old", messages=gone.messages, events=gone.events, counts=gone.counts)

    def _rest(self, took: float) -> None:
        rest = max(_REST, took * (1 - _SHARE) / _SHARE)
        self._over.wait(rest * _BUSY if self._busy() else rest)

    @contextmanager
    def _pruning(self) -> Iterator[Iterator[Pruned]]:
        """Give what lets go of a batch with each step. Raises StoreUnavailable, then and at each step."""
        # Loaded only where something has an end: SQLAlchemy is 14 MB.
        from gatepost_core.store.ingest import retention  # noqa: PLC0415

        with self._store.directory() as connection:
            keep = retention.kept(connection, self._keep_days)
        with self._store.transactions() as begin:
            yield retention.prune(begin, keep, datetime.now(UTC))
