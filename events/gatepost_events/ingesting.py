"""The thread that goes from round to round: how long it rests, and what it does about faults."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from gatepost_core.domain import StoreUnavailable
from gatepost_core.serving import log
from gatepost_core.store.backend import Keeper
from gatepost_events.report import Reporter
from gatepost_events.rounds import Round, Rounds
from gatepost_events.single import Single

# While mail flows: what was accepted is seen by lists soon, and a commit holds what came in this time.
_REST: Final = 0.05
_AFTER_FAULT: Final = 1.0
_KEEP_EVERY: Final = 1.0
_RETIRE_EVERY: Final = 10.0


class Ingesting:
    """A worker's ingestion. Use as a context manager: at the end what is there is taken once more.

    ``keeper``: of what others can read while it is open here; ``interval``: most seconds from one look to the
    next; ``last_seconds``: for what is there at the end.
    """

    def __init__(
        self,
        rounds: Rounds,
        single: Single,
        keeper: Keeper,
        report: Reporter,
        interval: float,
        last_seconds: float,
    ) -> None:
        self._rounds = rounds
        self._single = single
        self._keeper = keeper
        self._report = report
        self._interval = interval
        self._last_seconds = last_seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ingest")
        self._alive = time.monotonic()
        self._keep_at = self._retire_at = 0.0
        # Work was found in the last round: whoever has other work for the disk waits.
        self.busy = False

    def __enter__(self) -> Ingesting:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(self._last_seconds)

    def stuck_for(self, seconds: float) -> str:
        """Say why nothing is taken any more, for so many seconds now; empty while it is."""
        if not self._thread.is_alive() and not self._over.is_set():
            return "the thread that takes the spool has ended"
        if time.monotonic() - self._alive > seconds:
            return f"one look into the spool has taken {seconds:g} s"
        return ""

    def _run(self) -> None:
        rest = _REST
        while not self._over.is_set():
            self._alive = time.monotonic()
            self._keep()
            done = self._guarded(self._round)
            if done is None:
                rest = _AFTER_FAULT
            elif done.more:
                rest = 0.0
            elif done.entries:
                rest = min(_REST, self._interval)
            else:
                rest = min(max(2 * rest, _REST), self._interval)
            self.busy = done is not None and done.entries > 0
            if rest:
                self._alive = time.monotonic() + rest
                self._over.wait(rest)
        self._last()

    def _keep(self) -> None:
        """See now and then that what is to be kept open is; the spool is taken in any case."""
        if self._alive >= self._keep_at:
            self._keep_at = self._alive + _KEEP_EVERY
            self._report.kept(self._keeper.keep())

    def _last(self) -> None:
        """Take what those have left that ended before, in the time that there is."""
        until = time.monotonic() + self._last_seconds
        while time.monotonic() < until:
            done = self._guarded(self._round)
            if done is None or not (done.more or done.entries):
                return

    def _round(self) -> Round:
        self._single.hold()
        done = self._rounds()
        self._report.took(done, self._rounds.stopped)
        now = time.monotonic()
        if now >= self._retire_at:
            self._retire_at = now + _RETIRE_EVERY
            self._report.retired(self._rounds.retire())
        return done

    def _guarded(self, step: Callable[[], Round]) -> Round | None:
        """Do a step; None where it failed. Whatever went wrong, the next one is tried."""
        try:
            done = step()
        except (StoreUnavailable, OSError) as error:
            self._report.failed(str(error))
            return None
        except Exception as error:  # noqa: BLE001 - it must not end: mail waits in the spool
            log.error("internal error", exc_info=error)
            self._report.failed(repr(error))
            return None
        return done
