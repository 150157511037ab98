"""gatepost-dashboard: the API and the pages, over HTTP. What is wired to what, from settings to socket."""

from __future__ import annotations

from gatepost_core.serving.boot import Boot, command
from gatepost_core.serving.prefork import WorkerContext
from gatepost_core.settings import DashboardSettings
from gatepost_core.store.opening import open_backend
from gatepost_dashboard.app import build
from gatepost_dashboard.loop import Server
from gatepost_dashboard.parts import Parts
from gatepost_dashboard.report import Reporter


def serve(boot: Boot[DashboardSettings]) -> int:
    """Serve until SIGTERM; return the exit status."""
    settings, dashboard = boot.settings, boot.section
    keys, report = boot.keyring, Reporter(boot.metrics)

    def work(context: WorkerContext) -> None:
        parts = Parts.of(settings, open_backend(settings.store), keys, report)
        Server(boot.listener, build(parts), dashboard).serve(context)

    return boot.run(work)


main = command(
    "dashboard",
    "Answers the API and the pages (HTTP).",
    lambda settings: settings.dashboard,
    serve,
    keys=("password", "totp"),
    group="",
)

if __name__ == "__main__":
    main()
