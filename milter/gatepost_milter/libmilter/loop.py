"""libmilter's main loop in a worker: how it shows that it lives, and how it ends.

On drain, messages at their end are answered before libmilter is stopped, which would cut them off.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

import milter

from gatepost_core.serving import log
from gatepost_core.serving.prefork import WorkerContext
from gatepost_milter.libmilter.service import Service
from gatepost_milter.libmilter.shell import MilterSession

# The answer to the last message is still on its way through libmilter when our callback has returned.
_LAST_ANSWERS_SECONDS = 0.2
_NUDGE_SECONDS = 0.05
# A message takes Python's lock some twenty times on its way in, and waits so long each time while a thread
# works on a large one: Python's own 5 ms add up to a second beside four of them.
_SWITCH_SECONDS = 0.002


class Loop:
    """Serves messages in this process. Seconds: how long it may serve nobody, and how long a drain may take.

    ``hung`` is told the slot of a worker that serves nobody any more, before that one ends.
    """

    def __init__(
        self, service: Service, *, hang_seconds: float, drain_seconds: float, hung: Callable[[int], None]
    ) -> None:
        self._service = service
        self._hang_seconds = hang_seconds
        self._drain_seconds = drain_seconds
        self._hung = hung
        self._ended = threading.Event()

    def serve(self, context: WorkerContext) -> None:
        """Serve until drained. In the main thread."""
        sys.setswitchinterval(_SWITCH_SECONDS)
        MilterSession.service = self._service
        signal.signal(signal.SIGUSR2, _interrupted)
        threading.Thread(target=self._drain, args=(context,), daemon=True).start()
        threading.Thread(target=self._live, args=(context,), daemon=True).start()
        milter.main()
        self._ended.set()

    def _live(self, context: WorkerContext) -> None:
        """Give signs of life while messages are answered; end the process, whose sessions get 451, if not.

        A thread of its own, since libmilter's loop calls nobody: Python's lock held for ever, or a process
        that is stopped, shows as no sign; a crew or callbacks that are stuck are asked for.
        """
        while context.beat_every is not None and not self._ended.wait(context.beat_every):
            context.beat()
            reason = self._service.stuck_for(self._hang_seconds)
            if reason:
                log.error("worker cannot serve any more, ending it", reason=reason)
                self._hung(context.slot)
                log.flush()
                os._exit(1)

    def _drain(self, context: WorkerContext) -> None:
        context.wait_for_drain()
        if not self._service.drain(self._drain_seconds):
            log.warning("messages under way were not answered in time")
        time.sleep(_LAST_ANSWERS_SECONDS)
        threading.Thread(target=self._interrupt_listener, daemon=True).start()
        milter.stop()

    def _interrupt_listener(self) -> None:
        """Have libmilter's listener see that it is to stop.

        It looks every 5 seconds (MI_CHK_TIME), and when its poll(2) is interrupted: again and again,
        because the signal may come just before the poll. Until then smfi_stop() itself waits.
        """
        while not self._ended.wait(_NUDGE_SECONDS):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR2)


def _interrupted(number: int, frame: FrameType | None) -> None:
    """Handle SIGUSR2: nothing, that the system call ended is all."""
    del number, frame
