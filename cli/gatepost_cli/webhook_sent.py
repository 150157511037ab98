"""``gatepost webhook log`` and ``replay``: what was sent, and sending it again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import click
from sqlalchemy import Connection

from gatepost_cli import listing
from gatepost_cli import webhook_view as view
from gatepost_cli.complete import webhook_names
from gatepost_cli.output import Table, emit
from gatepost_cli.session import CliSession, json_option, pass_session
from gatepost_core.store.webhooks import endpoints, looking, replaying
from gatepost_core.store.webhooks.endpoints import EndpointState
from gatepost_core.store.webhooks.replaying import Replayed

_MOST = 10_000


@click.command("log")
@click.argument("webhook", shell_complete=webhook_names)
@click.option("--event", metavar="ID", default="", help="Only attempts of this event.")
@click.option("--given-up", is_flag=True, help="Events that were given up, instead.")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1, _MOST),
    default=20,
    show_default=True,
    help="How many, newest first.",
)
@json_option
@pass_session
def log(session: CliSession, webhook: str, event: str, given_up: bool, limit: int) -> None:
    """Show the newest attempts to send events to a webhook, and what it answered."""
    if event and given_up:
        raise click.UsageError("give --event or --given-up, not both")
    with session.directory() as connection:
        endpoints.get(connection, webhook)
    with session.journal() as connection:
        if given_up:
            gone = looking.given_up(connection, webhook, limit)
            rows = [view.given_up_row(one) for one in gone]
            shown = Table(view.GIVEN_UP_COLUMNS, rows, prose=("reason",))
            emit(session, [view.given_up_data(one) for one in gone], shown)
            return
        found = looking.attempts(connection, webhook, limit, event_id=event)
    table = Table(view.LOG_COLUMNS, [view.attempt_row(one) for one in found], prose=("answer",))
    emit(session, [view.attempt_data(one) for one in found], table)


@click.command("replay")
@click.argument("webhook", shell_complete=webhook_names)
@click.option(
    "--event", "numbers", metavar="ID", multiple=True, help="This event; may be given several times."
)
@listing.since_option
@listing.until_option
@click.option("--given-up", is_flag=True, help="What was given up, as far as it is still kept.")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1, _MOST),
    default=1_000,
    show_default=True,
    help="How many at the most, oldest first.",
)
@listing.after_option
@json_option
@pass_session
def replay(
    session: CliSession,
    /,
    webhook: str,
    numbers: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    given_up: bool,
    limit: int,
    after: str,
) -> None:
    """Send events again, with the ids that they had: some, those of a time, or what was given up.

    What waits already is tried at once. Of a time, only types are sent that the webhook asks for.
    """
    if [bool(numbers), since is not None, given_up].count(True) != 1:
        raise click.UsageError("give one of --event, --since and --given-up")
    if since is None and (until is not None or after):
        raise click.UsageError("--until and --after go with --since")
    with session.directory() as connection:
        target = endpoints.get(connection, webhook)
    if target.state is EndpointState.OFF:
        raise click.UsageError(f"{webhook} is off; 'gatepost webhook set {webhook} --enable' first")

    def step(connection: Connection, cursor: str, left: int) -> Replayed:
        if numbers:
            return replaying.by_ids(connection, target, numbers, session.now)
        if since is None:
            return replaying.given_up(connection, target, session.now, left)
        return replaying.of_time(connection, target, since, until, session.now, cursor=cursor, limit=left)

    number, cursor = _all(session, step, limit, after)
    text = f"{number} events are sent again."
    if cursor and since is not None:
        text += f" There are more: go on with --after {cursor}."
    elif cursor:
        text += " There are more: run the command again."
    emit(session, {"webhook": webhook, "events": number, "after": cursor}, text)


def _all(
    session: CliSession, step: Callable[[Connection, str, int], Replayed], limit: int, cursor: str
) -> tuple[int, str]:
    """Go from step to step, a short transaction each; return how many events, and where to go on."""
    number = 0
    while True:
        with session.store.journal(write=True) as connection:
            done = step(connection, cursor, limit - number)
        number, cursor = number + done.number, done.cursor
        if not cursor or number >= limit:
            return number, cursor
