"""The thread that follows the journal's events and has suppressed whom they suppress."""

from __future__ import annotations

import threading
from typing import Final

from gatepost_core.domain import StoreUnavailable
from gatepost_core.serving import log
from gatepost_core.store.backend import Suppressor
from gatepost_events.report import Reporter

# Each commit empties the caches of who reads the directory, so a stream of bounces makes one a second.
_AFTER_COMMIT: Final = 1.0
_AFTER_FAULT: Final = 1.0


class Suppressing:
    """Looks every ``interval`` seconds. Use as a context manager."""

    def __init__(self, suppressor: Suppressor, report: Reporter, interval: float) -> None:
        self._suppressor = suppressor
        self._report = report
        self._interval = interval
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="suppression")
        self._fault = ""

    def __enter__(self) -> Suppressing:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        rest = 0.0
        while not self._over.wait(rest):
            rest = self._guarded()
        self._suppressor.close()

    def _guarded(self) -> float:
        """Do a step; return how long to rest. Whatever goes wrong, the next one is tried."""
        try:
            done = self._suppressor.step()
        except (StoreUnavailable, OSError) as error:
            self._failed(str(error))
            return _AFTER_FAULT
        except Exception as error:  # noqa: BLE001 - it must not end the daemon, nor stop for good
            log.error("internal error", exc_info=error)
            self._report.not_followed()
            return _AFTER_FAULT
        if self._fault:
            log.info("events are followed again for whom they suppress", was=self._fault)
            self._fault = ""
        self._report.suppressed(done.suppressed)
        if done.suppressed:
            return _AFTER_COMMIT
        return 0.0 if done.more else self._interval

    def _failed(self, why: str) -> None:
        self._report.not_followed()
        if why != self._fault:
            log.error("events cannot be followed for whom they suppress; trying again", error=why)
        self._fault = why
