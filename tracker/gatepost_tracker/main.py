"""gatepost-tracker: answers clicks, opens, hosted images and unsubscribes, over HTTP.

What is wired to what, from settings to socket. A store or a spool that is missing keeps no link from leading
where it led: the token says it.
"""

from __future__ import annotations

from functools import partial

from gatepost_core.keys.tokens import ClickTokens, OpenTokens, PixelTokens, UnsubscribeTokens
from gatepost_core.serving.boot import Boot, command
from gatepost_core.serving.prefork import WorkerContext
from gatepost_core.serving.proxies import Proxies
from gatepost_core.settings import TrackerSettings
from gatepost_tracker import verdicts
from gatepost_tracker.bounds import Bounds
from gatepost_tracker.holdings import Hosts, Images
from gatepost_tracker.loop import Parts, Server, Times
from gatepost_tracker.records import STREAM, Records
from gatepost_tracker.report import Reporter
from gatepost_tracker.site import Site
from gatepost_tracker.verdicts import Bursts


def serve(boot: Boot[TrackerSettings]) -> int:
    """Serve until SIGTERM; return the exit status."""
    settings, tracker = boot.settings, boot.section
    report = Reporter(boot.metrics)
    observe = boot.observer("Time that an answer took, but for files and flushes.")
    folder = boot.stream(STREAM)
    reader = boot.reader()
    keys = boot.keyring
    table = verdicts.load()
    times = Times(
        tracker.request_seconds,
        tracker.idle_seconds,
        0.8 * tracker.drain_seconds,
        tracker.connections,
        tracker.proxy_protocol,
    )

    def work(context: WorkerContext) -> None:
        records = Records(folder, settings.spool, partial(report.lost, "spool"))
        hosts = Hosts(reader, settings.tracking.click_domain)
        site = Site(
            ClickTokens(keys),
            OpenTokens(keys),
            PixelTokens(keys),
            UnsubscribeTokens(keys),
            hosts.known,
            table,
        )
        parts = Parts(
            site,
            Proxies(tracker.proxies),
            records,
            Images(settings.images.directory, settings.images.size_limit),
            Bounds(link=tracker.events_per_link, message=tracker.events_per_message),
            Bursts(),
            report,
            observe,
        )
        Server(boot.listener, parts, times).serve(context)
        records.close()

    return boot.run(work)


main = command(
    "tracker",
    "Answers clicks, opens, hosted images and unsubscribes (HTTP).",
    lambda settings: settings.tracker,
    serve,
    keys=("click", "unsubscribe"),
    group="",
)

if __name__ == "__main__":
    main()
