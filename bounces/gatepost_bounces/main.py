"""gatepost-bounces: takes what comes back to envelope senders, over LMTP, and records what it tells.

What is wired to what, from settings to socket. A store that cannot be opened does not stop the daemon:
Postfix hears 451 meanwhile, and comes again.
"""

from __future__ import annotations

from datetime import timedelta

from gatepost_bounces import listening
from gatepost_bounces.intake import Intake
from gatepost_bounces.keeping import Kept
from gatepost_bounces.proving import Prover
from gatepost_bounces.records import STREAM, Records
from gatepost_bounces.report import Reporter
from gatepost_core.keys.tokens import BounceTokens
from gatepost_core.serving.boot import Boot, command
from gatepost_core.serving.prefork import WorkerContext
from gatepost_core.settings import BouncesSettings
from gatepost_core.store import References

_DRAIN_SHARE = 0.8


def serve(boot: Boot[BouncesSettings]) -> int:
    """Serve until SIGTERM; return the exit status."""
    settings, bounces = boot.settings, boot.section
    report = Reporter(boot.metrics)
    reader = boot.reader()
    oldest = timedelta(days=bounces.report_days)
    prove = Prover(reader, References(settings.store.journal))
    intake = Intake(reader, BounceTokens(boot.keyring), prove, feedback=bounces.feedback, oldest=oldest)
    folder = boot.stream(STREAM)
    bounces.directory.mkdir(mode=0o750, parents=True, exist_ok=True)

    def work(context: WorkerContext) -> None:
        records = Records(folder, settings.spool)
        kept = Kept(bounces.directory, seconds=bounces.keep_days * 86_400, most=bounces.keep_size)
        handler = listening.Handler(intake, kept, records, report)
        listening.serve(boot.listener, handler, context, _DRAIN_SHARE * bounces.drain_seconds)
        records.close()

    return boot.run(work)


main = command(
    "bounces",
    "Takes bounces, complaints and automatic replies from Postfix (LMTP).",
    lambda settings: settings.bounces,
    serve,
    keys=("bounce",),
)

if __name__ == "__main__":
    main()
