"""gatepost-events: moves what the spool holds into the store, exactly once, and takes orders.

What is wired to what, from settings to socket. One worker: its main thread answers on the order socket, one
thread takes the spool, one lets go of what is old, one has suppressed whom events suppress, one suspends
credentials, one gives back to limits what was not queued, one settles what was sent with an idempotency
key, one forwards reports, one forgets places that nobody sends from any more, one sends webhooks. A store
that cannot be opened does not stop the daemon: what was accepted waits in the spool.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack
from datetime import timedelta

from gatepost_core.domain import utc_now
from gatepost_core.domain.limits import Charges
from gatepost_core.domain.suppressing import Reason
from gatepost_core.domain.walls import Walls
from gatepost_core.postfix import forwarding_socket
from gatepost_core.serving.boot import Boot, command
from gatepost_core.serving.lineserver import Limits, LineServer
from gatepost_core.serving.listen import UnixAddress, parse_address
from gatepost_core.serving.prefork import WorkerContext
from gatepost_core.settings import EventsSettings, Settings, SettingsError, SuppressionSettings
from gatepost_core.spool import check as check_folders
from gatepost_core.store import open_counters, open_places, open_submissions
from gatepost_core.store.backend import Backend
from gatepost_core.store.opening import open_backend
from gatepost_events.following import Following
from gatepost_events.forwarding.parts import LOOKED_AT
from gatepost_events.forwarding.posting import Post, read
from gatepost_events.forwarding.report import ForwardReporter
from gatepost_events.forwarding.steps import Forwarding
from gatepost_events.holding.judging import Limits as HoldLimits
from gatepost_events.holding.own_queue import Helper, OwnQueue
from gatepost_events.holding.releasing import Releasing
from gatepost_events.ingesting import Ingesting
from gatepost_events.maillog.follower import Follower
from gatepost_events.making import Making
from gatepost_events.peers import Peers
from gatepost_events.places import Pruning
from gatepost_events.report import OrderReporter, Reporter
from gatepost_events.retention import Retention
from gatepost_events.rounds import Rounds
from gatepost_events.session import OrderSession
from gatepost_events.single import Single
from gatepost_events.submitted import Submitted
from gatepost_events.webhooks.loop import Webhooks
from gatepost_events.webhooks.report import WebhookReporter

# Of the time that a drain may take, for what is in the spool then.
_LAST_SHARE = 0.8
# Credentials made at once; SQLite has one writer at a time.
_MAKING = 2


def check(settings: Settings) -> None:
    """Raise SettingsError for an address at which nobody's orders could be taken."""
    if not isinstance(parse_address(settings.events.listen), UnixAddress):
        raise SettingsError(
            f"events.listen = {settings.events.listen!r}: expected a UNIX socket, as unix:/PATH, since only "
            "there the system tells whose orders they are"
        )


def _ends(section: SuppressionSettings) -> dict[str, timedelta]:
    """Return after how long what events suppress ends, by reason."""
    days = {Reason.BOUNCE.value: section.bounce_days, Reason.COMPLAINT.value: section.complaint_days}
    return {name: timedelta(days=number) for name, number in days.items() if number}


def _forwarding(settings: Settings, store: Backend, node: str) -> Forwarding:
    """Return what forwards reports."""
    reader, bounces = store.reader(), settings.bounces
    return Forwarding(
        store.forwarder(node),
        reader,
        Walls(reader, settings.own_names, settings.accounts.wall_mode),
        Post(forwarding_socket(settings)),
        lambda name: read(bounces.directory, name, LOOKED_AT),
        bounces.forwards_per_hour,
        settings.postfix.hostname or socket.getfqdn(),
        utc_now,
    )


def serve(boot: Boot[EventsSettings]) -> int:
    """Serve until SIGTERM; return the exit status."""
    settings, events = boot.settings, boot.section
    spool, store = settings.spool, open_backend(settings.store)
    check_folders(spool.directory)
    report, report_order = Reporter(boot.metrics), OrderReporter(boot.metrics)
    report_webhooks, report_forwards = WebhookReporter(boot.metrics), ForwardReporter(boot.metrics)
    observe = boot.observer("Time that an order took.")

    def work(context: WorkerContext) -> None:
        node = events.node or socket.gethostname()
        ingester = store.ingester(node)
        mail_log = Follower(events.log, events.log_names, ingester)
        rounds = Rounds(
            spool.directory,
            ingester,
            keep=spool.keep * 3600,
            most=spool.limits,
            log=mail_log,
        )
        keeper, peers, making = store.keeper(), Peers(events.users), Making(store, utc_now)
        last_seconds = _LAST_SHARE * events.drain_seconds
        ingesting = Ingesting(rounds, Single(spool.directory), keeper, report, events.interval, last_seconds)
        retention = Retention(
            store, settings.store.keep_days, events.prune_interval, report, lambda: ingesting.busy
        )
        suppressor = store.suppressor(
            timedelta(days=settings.bounces.report_days), _ends(settings.suppression)
        )
        counters = open_counters(settings.limits.counters, settings.store.journal)
        returning = Following(
            store.returner(node, counters),
            "limits",
            "for what limits get back",
            report.given_back,
            report.not_followed,
        )
        queue = str(settings.postfix.queue_directory)
        settling = Following(
            Submitted(
                open_submissions(settings.limits.counters),
                store.fates(),
                OwnQueue(Helper(settings.hold.listen), queue).look,
                settings.idempotency.hours,
            ),
            "submissions",
            "for what was sent with an idempotency key",
            report.settled,
            report.not_followed,
        )
        webhooks = Webhooks(
            store,
            settings.webhooks,
            boot.keyring,
            report_webhooks,
            node=node,
            interval=events.interval,
            last_seconds=0.1 * events.drain_seconds,
        )
        suppressing = Following(
            suppressor,
            "suppression",
            "for whom they suppress",
            lambda done: report.suppressed(done, events.interval),
            report.not_followed,
        )
        reader = store.reader()
        releasing = Following(
            Releasing(
                store.holder(node),
                reader,
                Walls(reader, settings.own_names, settings.accounts.wall_mode),
                HoldLimits(
                    Charges(settings.limits.defaults),
                    open_counters(settings.limits.counters, settings.store.journal),
                ),
                open_places(settings.limits.counters),
                OwnQueue(Helper(settings.hold.listen), queue),
                utc_now,
            ),
            "hold",
            "for held messages",
            lambda done: report.carried(done, events.interval),
            report.not_followed,
        )
        suspending = Following(
            store.suspender(node, settings.suspension.thresholds),
            "suspension",
            "for whom they suspend",
            report.suspended,
            report.not_followed,
        )
        reports = _forwarding(settings, store, node)
        forwarding = Following(
            reports,
            "forwarding",
            "for reports that are forwarded",
            lambda done: report_forwards(done, events.interval),
            report.not_followed,
        )
        pruning = Following(
            Pruning(open_places(settings.limits.counters), store.reader()),
            "places",
            "for places that credentials send from",
            report.places_pruned,
            report.not_followed,
        )
        followers = (suppressing, suspending, returning, releasing, settling, forwarding, pruning)
        with ExitStack() as running:
            for one in (ingesting, retention, *followers, webhooks):
                running.enter_context(one)
            running.callback(reports.stop)
            LineServer(
                boot.listener,
                lambda peer: OrderSession(making.make, report_order, peers.refusal(peer)),
                limits=Limits(join_seconds=0.1 * events.drain_seconds, threads=_MAKING),
                observe=observe,
                unfit=lambda: (
                    ingesting.stuck_for(events.hang_seconds) or webhooks.stuck_for(events.hang_seconds)
                ),
            ).serve(context)
        mail_log.close()
        ingester.close()
        keeper.settle()

    return boot.run(work)


main = command(
    "events",
    "Moves what the spool holds into the store, and takes orders of the other daemons.",
    lambda settings: settings.events,
    serve,
    check=check,
    keys=("webhook",),
    group="",
)

if __name__ == "__main__":
    main()
