"""gatepost-sasl: says who may log in, over the Dovecot authentication protocol.

What is wired to what, from settings to socket. A store that cannot be opened does not stop the
daemon: each login tries again, and Postfix answers 454 meanwhile.
"""

from __future__ import annotations

import itertools
import os

from gatepost_core.domain import utc_now
from gatepost_core.serving import log
from gatepost_core.serving.boot import Boot, command
from gatepost_core.serving.lineserver import Limits, LineServer
from gatepost_core.serving.login_table import LoginTable
from gatepost_core.serving.prefork import WorkerContext
from gatepost_core.settings import SaslSettings, Settings
from gatepost_sasl.backends import build
from gatepost_sasl.backends.last_used import STREAM, LastUsed
from gatepost_sasl.backends.turns import Turns
from gatepost_sasl.counters import guards
from gatepost_sasl.noting import Noting
from gatepost_sasl.report import Reporter
from gatepost_sasl.session import AuthSession, Configuration
from gatepost_sasl.slowest import Slowest

# Logins that a worker has waiting for PAM or LDAP at once. Each has a deadline of its own, and one that
# is stuck must not keep another back end's from being asked.
_BLOCKING_LOGINS = 256


def check(settings: Settings) -> None:
    """Raise SettingsError for back ends that cannot be used."""
    build.check(settings)
    for text in build.remarks(settings):
        log.warning(text)


def serve(boot: Boot[SaslSettings]) -> int:
    """Serve until SIGTERM; return the exit status."""
    settings, sasl = boot.settings, boot.section
    report = Reporter(boot.metrics)
    unnoted = boot.metrics.counter("logins_unnoted_total", "Logins that policy cannot know the time of.")
    stuck = boot.metrics.gauge(
        "stuck_calls", "Calls of a back end left behind after their deadline.", ("backend",)
    )
    observe = boot.observer("Time that an answer took, without the failure delay.")
    folder = boot.stream(STREAM)
    reader = boot.reader()
    guard_of = guards(sasl)
    slowest = build.slowest_of(reader, sasl.failure_delay)
    outside = {name: Slowest() for name in sasl.backends if name != "store"}

    def work(context: WorkerContext) -> None:
        last_used = LastUsed(folder, settings.spool)
        parts = build.Parts(
            reader,
            boot.keyring,
            last_used,
            utc_now,
            lambda name, change: stuck.labels(name).inc(change),
            slowest.took,
            outside,
        )
        backends = build.build(settings, parts)
        guard = guard_of(context.slot)
        configuration = Configuration(
            authenticator=backends.shortest(),
            report=report,
            mechanisms=sasl.mechanisms,
            failure_delay=sasl.failure_delay,
            pid=os.getpid(),
            guard=guard,
            turn=Turns(guard).turn,
            slowest=slowest,
            note=Noting(LoginTable(sasl.logins_file, writing=True), unnoted.inc),
            scram=build.scram(settings, parts),
        )
        numbers = itertools.count(1)
        LineServer(
            boot.listener,
            lambda _: AuthSession(configuration, next(numbers)),
            limits=Limits(join_seconds=0.8 * sasl.drain_seconds, threads=_BLOCKING_LOGINS),
            observe=observe,
            unfit=lambda: backends.stuck_for(sasl.hang_seconds),
        ).serve(context)
        last_used.close()

    return boot.run(work)


main = command(
    "sasl",
    "Tells Postfix who may log in (Dovecot authentication protocol).",
    lambda settings: settings.sasl,
    serve,
    check=check,
    keys=("password",),
)

if __name__ == "__main__":
    main()
