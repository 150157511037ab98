"""gatepost-milter: applies a credential's features to each message (libmilter, the milter protocol).

Wiring only: settings, keys, store, judge, shell. The parent forks workers, each of which runs
libmilter's main loop on the one listening socket. On drain a worker lets messages at their end be
answered before it stops libmilter, which would cut them off. A store that cannot be opened does
not stop the daemon: messages get 451 until it can.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from types import FrameType

import milter

from gatepost_core.domain.walls import Walls
from gatepost_core.keys.keyring import Keyring
from gatepost_core.postfix import queue_size_limit
from gatepost_core.serving import boot as daemon
from gatepost_core.serving import log
from gatepost_core.serving.listen import open_listener, parse_address
from gatepost_core.serving.metrics import Metrics
from gatepost_core.serving.prefork import Hooks, Supervisor, WorkerContext
from gatepost_core.settings import Settings
from gatepost_core.store.images import FileImageStore
from gatepost_core.store.journal import JournalWriter
from gatepost_milter.contexts import ContextMaker, Domains, SizeLimits, Tracking
from gatepost_milter.css.calculator import Compute, at_once
from gatepost_milter.css.calculators import Calculators
from gatepost_milter.dkim.signing import Limits, Signing, room
from gatepost_milter.judge import Judge
from gatepost_milter.libmilter import listening, shell
from gatepost_milter.libmilter.crew import Crew
from gatepost_milter.libmilter.heap import spare_memory
from gatepost_milter.libmilter.holdings import Holdings, share
from gatepost_milter.libmilter.report import Reporter
from gatepost_milter.libmilter.service import Service

# The answer to the last message is still on its way through libmilter when our callback has returned.
_LAST_ANSWERS_SECONDS = 0.2
_NUDGE_SECONDS = 0.05
# A message takes Python's lock some twenty times on its way in, and waits so long each time while a thread
# works on a large one: Python's own 5 ms add up to a second beside four of them.
_SWITCH_SECONDS = 0.002


class Worker:
    """One process: its view of the store, its threads, and libmilter's main loop."""

    def __init__(self, settings: Settings, keyring: Keyring, metrics: Metrics) -> None:
        self._settings = settings
        self._keyring = keyring
        limits = Limits(settings.milter.edit_size_limit, queue_size_limit(settings))
        self._signing = Signing(settings.dkim, keyring, limits)
        # Made before the fork: what SQLAlchemy compiles is then in pages that all workers share.
        self._reader = daemon.open_reader(settings.store.url)
        self._journal = JournalWriter(settings.store.journal, synchronous=settings.store.synchronous)
        self._ended = threading.Event()
        self._metrics = metrics
        self._report = Reporter(metrics)
        held = metrics.gauge("held_bytes", "Bytes of messages of more than 64 KiB that are held now.")
        largest = settings.postfix.message_size_limit
        limit = share(settings.milter.bytes_in_flight, settings.milter.workers, largest)
        self._holdings = Holdings(limit, held.inc)

    def __call__(self, context: WorkerContext) -> None:
        """Serve until drained. In the child, after the fork."""
        sys.setswitchinterval(_SWITCH_SECONDS)
        settings = self._settings
        walls = Walls(self._reader, settings.own_names, settings.accounts.wall_mode)
        with Crew(settings.milter.threads) as crew, Calculators(crew.away) as calculators:
            contexts = context_maker(settings, self._keyring, self._reader, calculate=calculators)
            judge = Judge(self._reader, contexts, walls=walls, signing=self._signing)
            service = Service(judge.at_once, self._journal, crew, self._report, self._holdings)
            shell.MilterSession.service = service
            signal.signal(signal.SIGUSR2, _interrupted)
            threading.Thread(target=self._drain, args=(context, service), daemon=True).start()
            threading.Thread(target=self._live, args=(context, service), daemon=True).start()
            milter.main()
        self._ended.set()
        self._metrics.flush()
        self._journal.close()
        self._reader.close()

    def _live(self, context: WorkerContext, service: Service) -> None:
        """Give signs of life while messages are answered; end the process, whose sessions get 451, if not.

        A thread of its own, since libmilter's loop calls nobody: Python's lock held for ever, or a process
        that is stopped, shows as no sign; a crew or callbacks that are stuck are asked for.
        """
        while context.beat_every is not None and not self._ended.wait(context.beat_every):
            context.beat()
            reason = service.stuck_for(self._settings.milter.hang_seconds)
            if reason:
                log.error("worker cannot serve any more, ending it", reason=reason)
                self._metrics.hung(context.slot)
                log.flush()
                os._exit(1)

    def _drain(self, context: WorkerContext, service: Service) -> None:
        context.wait_for_drain()
        if not service.drain(self._settings.milter.drain_seconds):
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


def context_maker(
    settings: Settings, keyring: Keyring, domains: Domains, *, calculate: Compute = at_once
) -> ContextMaker:
    """Return what makes the surgery's contexts by these settings."""
    return ContextMaker(
        domains,
        keyring,
        FileImageStore(settings.images.directory),
        Tracking(settings.tracking.click_scheme, settings.tracking.click_domain),
        SizeLimits(
            settings.milter.edit_size_limit,
            room(queue_size_limit(settings)),
            settings.images.size_limit,
            settings.images.quota,
        ),
        calculate=calculate,
    )


def serve(settings: Settings) -> int:
    """Run the daemon; return its exit status. Raises ListenError, KeyringError."""
    spare_memory()
    keyring = Keyring.load(settings.keys.directory)
    listener = open_listener(parse_address(settings.milter.listen))
    metrics = Metrics("milter", settings.milter.metrics_listen)
    shell.register("gatepost")
    listening.adopt(listener)
    return Supervisor(
        "gatepost-milter",
        settings.milter.workers,
        Worker(settings, keyring, metrics),
        drain_seconds=settings.milter.drain_seconds + 2,
        hooks=Hooks(in_child=metrics.in_child, hung=metrics.hung, died=metrics.died, ended=metrics.close),
        hang_seconds=settings.milter.hang_seconds,
        helpers=metrics.helpers,
        process_group=True,
    ).run()


def check(settings: Settings) -> None:
    """Raise ListenError or KeyringError for what cannot be used."""
    parse_address(settings.milter.listen)
    Keyring.load(settings.keys.directory)


main = daemon.command(
    "milter", "Apply each credential's features to its messages, as Postfix's milter.", check, serve
)

if __name__ == "__main__":
    main()
