"""gatepost-milter: applies a credential's features to each message (libmilter, the milter protocol).

What is wired to what, from settings to socket. The parent forks workers, each of which runs libmilter's main
loop on the one listening socket. A store that cannot be opened does not stop the daemon: messages get 451
until it can.
"""

from __future__ import annotations

import socket

from gatepost_core.domain.decision.refusals import Bound
from gatepost_core.domain.limits import Charges
from gatepost_core.domain.walls import Walls
from gatepost_core.serving import log
from gatepost_core.serving.boot import Boot, command
from gatepost_core.serving.places import Locator, check
from gatepost_core.serving.prefork import WorkerContext
from gatepost_core.settings import MilterSettings
from gatepost_core.store import open_counters, open_places, open_submissions
from gatepost_core.store.images import FileImageStore
from gatepost_milter.contexts import ContextMaker, SizeLimits, Tracking
from gatepost_milter.css.calculators import Calculators
from gatepost_milter.dkim.signing import Limits, Signing
from gatepost_milter.holding import Holding
from gatepost_milter.judge import Judge
from gatepost_milter.libmilter import listening, shell
from gatepost_milter.libmilter.counters import Limits as MessageLimits
from gatepost_milter.libmilter.crew import Crew
from gatepost_milter.libmilter.heap import spare_memory
from gatepost_milter.libmilter.holdings import Holdings, share
from gatepost_milter.libmilter.loop import Loop
from gatepost_milter.libmilter.places import Places
from gatepost_milter.libmilter.records import STREAM, Records
from gatepost_milter.libmilter.refusals import Refusals
from gatepost_milter.libmilter.report import Reporter
from gatepost_milter.libmilter.service import Service
from gatepost_milter.libmilter.submissions import Submissions

# Beyond the drain: until libmilter has stopped.
_STOP_SECONDS = 2.0
_DAMAGED = "counters of limits were damaged, counted anew from the journal"
_LOST = "places that credentials have sent from were damaged and are not known: what they send is held"
_FORGOTTEN = "idempotency keys were damaged and are forgotten: what is sent again is accepted anew"


def serve(boot: Boot[MilterSettings]) -> int:
    """Serve until SIGTERM; return the exit status."""
    spare_memory()
    settings, section = boot.settings, boot.section
    shell.register("gatepost")
    listening.adopt(boot.listener)
    report = Reporter(boot.metrics)
    held = boot.metrics.gauge("held_bytes", "Bytes of messages of more than 64 KiB that are held now.")
    unrecorded = boot.metrics.counter(
        "refusals_unrecorded_total", "Refusals beyond those that are recorded of a credential in an hour."
    )
    node = settings.events.node or socket.gethostname()
    limit = share(section.bytes_in_flight, section.workers, settings.postfix.message_size_limit)
    holdings = Holdings(limit, held.inc)
    signing = Signing(settings.dkim, boot.keyring, Limits.of(settings))
    images = FileImageStore(settings.images.directory)
    tracking, limits = Tracking.of(settings), SizeLimits.of(settings)
    reader = boot.reader()
    walls = Walls(reader, settings.own_names, settings.accounts.wall_mode)
    folder = boot.stream(STREAM)
    locate = Locator(settings.hold.place_databases)
    locate.warm()  # in memory that all workers share; what cannot be read is logged

    def work(context: WorkerContext) -> None:
        records = Records(folder, settings.spool)
        counters = open_counters(
            settings.limits.counters,
            settings.store.journal,
            damaged=lambda what: log.warning(_DAMAGED, file=what),
        )
        message_limits = MessageLimits(
            counters,
            records.tell,
            for_good=settings.limits.for_good,
            holds=not settings.postfix.milters_after,
        )
        message_limits.begin()
        claims = open_submissions(
            settings.limits.counters, damaged=lambda what: log.error(_FORGOTTEN, file=what)
        )
        keys = settings.idempotency
        submissions = Submissions(claims, hours=keys.hours, most=keys.most)
        seen = open_places(settings.limits.counters, damaged=lambda what: log.error(_LOST, file=what))
        locate.begin()
        places = Places(seen, locate, holds=not settings.postfix.milters_after)
        with Crew(section.threads) as crew, Calculators(crew.away) as calculators:
            contexts = ContextMaker(reader, boot.keyring, images, tracking, limits, calculate=calculators)
            judge = Judge(
                reader,
                contexts,
                walls=walls,
                signing=signing,
                charges=Charges(settings.limits.defaults),
                holding=Holding.of_settings(settings.hold, settings.postfix.milters_after),
            )
            bound = Bound(settings.accounts.refusals_per_hour)
            refusals = Refusals(reader, records.refused, bound, node, beyond=unrecorded.inc)
            service = Service(
                judge.at_once,
                records,
                crew,
                report,
                holdings,
                message_limits,
                submissions,
                places,
                refusals,
            )
            Loop(
                service,
                hang_seconds=section.hang_seconds,
                drain_seconds=section.drain_seconds,
                hung=boot.metrics.hung,
            ).serve(context)
        message_limits.end()
        locate.end()
        claims.close()
        seen.close()
        records.close()

    return boot.run(work, extra_seconds=_STOP_SECONDS, process_group=True)


main = command(
    "milter",
    "Apply each credential's features to its messages, as Postfix's milter.",
    lambda settings: settings.milter,
    serve,
    only_checked=lambda settings: check(settings.hold.place_databases),
    keys=("click", "unsubscribe", "bounce", "seal"),
)

if __name__ == "__main__":
    main()
