"""``gatepost store drain``: waiting until the store has what the spool holds."""

from __future__ import annotations

from pathlib import Path

import click

from gatepost_cli.output import emit
from gatepost_cli.owner import as_owner_of
from gatepost_cli.session import CliSession, json_option, pass_session
from gatepost_cli.waiting import wait
from gatepost_core.store import StoreUnavailable
from gatepost_core.store.ingest import drained


@click.command("drain")
@click.option(
    "--seconds",
    type=click.FloatRange(0, 86_400),
    default=60.0,
    show_default=True,
    help="How long to wait for gatepost-events.",
)
@json_option
@pass_session
def drain(session: CliSession, seconds: float) -> None:
    """Wait until the store has all that the spool holds. For the way back to an older release.

    That may not know what this one wrote. gatepost-events of this release has to run still, while the daemons
    that write to the spool are stopped, or of the older release already.
    """
    if left := wait(lambda: _left(session), seconds, over=lambda found: not found):
        (first, why), others = left[0], len(left) - 1
        more = f", and {others} more" if others else ""
        raise StoreUnavailable(
            f"{first} {why}{more}: after {seconds:g} s the store has not all of the spool. See whether "
            "gatepost-events runs, and its log"
        )
    directory = session.settings.spool.directory
    emit(session, {"directory": str(directory)}, f"The store has all of {directory}.")


def _left(session: CliSession) -> list[tuple[Path, str]]:
    directory = session.settings.spool.directory
    with session.journal() as connection, as_owner_of(directory):
        return list(drained.left(connection, directory))
