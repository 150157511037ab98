"""gatepost-policy: says what a login may send, over Postfix's policy delegation protocol.

What is wired to what, from settings to socket. A store that cannot be opened does not stop the
daemon: each request tries again, and Postfix answers 451 meanwhile.
"""

from __future__ import annotations

import socket
from pathlib import Path

from gatepost_core.domain import utc_now
from gatepost_core.domain.decision.refusals import Bound
from gatepost_core.domain.limits import Charges
from gatepost_core.domain.walls import Walls
from gatepost_core.keys.tokens import BounceTokens
from gatepost_core.postfix import destination
from gatepost_core.serving import log
from gatepost_core.serving.boot import Boot, command
from gatepost_core.serving.lineserver import Limits, LineServer
from gatepost_core.serving.login_table import LoginTable
from gatepost_core.serving.prefork import WorkerContext
from gatepost_core.settings import PolicySettings
from gatepost_core.spool import SpoolFolderError
from gatepost_policy.limits import LimitsLook
from gatepost_policy.questions import Questions
from gatepost_policy.records import STREAM, Records
from gatepost_policy.refusals import Refusals
from gatepost_policy.report import Reporter
from gatepost_policy.session import PolicySession
from gatepost_policy.sessions import KnownLogins


def serve(boot: Boot[PolicySettings]) -> int:
    """Serve until SIGTERM; return the exit status."""
    settings, policy = boot.settings, boot.section
    report = Reporter(boot.metrics)
    unknown = boot.metrics.counter(
        "logins_unknown_total", "Questions about sessions whose login is not known."
    )
    unrecorded = boot.metrics.counter(
        "refusals_unrecorded_total", "Refusals beyond those that are recorded of a credential in an hour."
    )
    observe = boot.observer("Time that an answer took.")
    folder = _folder(boot)
    node = settings.events.node or socket.gethostname()
    tokens = BounceTokens(boot.keyring)
    reader = boot.reader()
    limits = LimitsLook(Charges(settings.limits.defaults), boot.counts(), for_good=settings.limits.for_good)
    walls = Walls(reader, settings.own_names, settings.accounts.wall_mode)

    def work(context: WorkerContext) -> None:
        logins = KnownLogins(LoginTable(settings.sasl.logins_file), unknown.inc)
        questions = Questions(
            reader,
            tokens,
            policy.bounce_ports,
            utc_now,
            walls,
            logins,
            feedback=settings.bounces.feedback,
            limits=limits,
            time_zone=settings.limits.time_zone,
            routes={name: destination(name, one) for name, one in settings.routes.items()},
        )
        records = None if folder is None else Records(folder, settings.spool)
        bound = Bound(settings.accounts.refusals_per_hour)
        refusals = Refusals(reader, records, bound, node, utc_now, unrecorded.inc)
        LineServer(
            boot.listener,
            lambda _: PolicySession(questions, report, refusals),
            limits=Limits(join_seconds=0.8 * policy.drain_seconds),
            observe=observe,
        ).serve(context)
        if records is not None:
            records.close()

    return boot.run(work)


def _folder(boot: Boot[PolicySettings]) -> Path | None:
    """Return where refusals are recorded; None where they cannot be, which keeps nobody's mail."""
    try:
        return boot.stream(STREAM)
    except SpoolFolderError as error:
        log.warning("refusals are logged and not recorded", error=str(error))
        return None


main = command(
    "policy",
    "Tells Postfix what a login may send (policy delegation protocol).",
    lambda settings: settings.policy,
    serve,
    keys=("bounce",),
)

if __name__ == "__main__":
    main()
