"""The thread that gives back to limits what messages took that Postfix did not queue."""

from __future__ import annotations

import threading
from typing import Final

from gatepost_core.domain import StoreUnavailable
from gatepost_core.serving import log
from gatepost_core.store.backend import Returner

_SECONDS: Final = 1.0


class Returning:
    """Looks once a second. Use as a context manager."""

    def __init__(self, returner: Returner) -> None:
        self._returner = returner
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="limits")
        self._fault = ""

    def __enter__(self) -> Returning:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(_SECONDS):
            try:
                given = self._returner.step()
            except (StoreUnavailable, OSError) as error:
                self._failed(str(error))
            except Exception as error:  # noqa: BLE001 - it must not end the daemon, nor stop for good
                log.error("internal error", exc_info=error)
            else:
                self._fault = ""
                if given:
                    log.info("limits given back", messages=given)
        self._returner.close()

    def _failed(self, why: str) -> None:
        if why != self._fault:
            log.warning("limits cannot be given back for what was not queued; trying again", error=why)
        self._fault = why
