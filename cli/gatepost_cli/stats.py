"""``gatepost stats``: how much was sent, and what became of it, by credential, tag or domain."""

from __future__ import annotations

from typing import Any

import click

from gatepost_cli import behind, listing
from gatepost_cli.complete import account_names, credential_names
from gatepost_cli.output import Table, emit
from gatepost_cli.session import CliSession, json_option, pass_session
from gatepost_core.service.stats import TYPES, counts_data
from gatepost_core.store import accounts
from gatepost_core.store.ingest import stats
from gatepost_core.store.ingest.stats import Counts

_MACHINES = ("proxy", "scanner")


@click.command(
    "stats", help="What was sent and what became of it, counted by credential, tag or domain of recipients."
)
@click.option(
    "--by", type=click.Choice(stats.BYS), default="credential", show_default=True, help="Count by what."
)
@click.option("--credential", metavar="USER", shell_complete=credential_names, help="Only this credential's.")
@click.option("--account", metavar="NAME", shell_complete=account_names, help="Only this account's.")
@listing.since_option
@listing.until_option
@json_option
@pass_session
def command(session: CliSession, /, by: stats.By, account: str | None, **asked: Any) -> None:
    """Count events by whole hours."""
    number = None
    if account is not None:
        with session.directory() as connection:
            number = accounts.get(connection, account).id
    wanted = stats.Wanted(by, asked["since"], asked["until"], asked["credential"] or "", number)
    missing = behind.look(session)
    with session.journal() as connection:
        found = stats.read(connection, wanted)
    data = [counts_data(by, one) for one in found]
    rows = [_row(one) for one in found]
    # Where not all columns fit, those of what never happened go first.
    never = [type_ for type_ in TYPES if not any(one.events.get(type_) for one in found)]
    emit(session, data, Table((by, "recipients", *TYPES), rows, drop=(*never, "recipients")))
    behind.tell(session, missing)


def _row(one: Counts) -> tuple[str, ...]:
    return (one.key or "(others)", str(one.recipients), *(_cell(one, type_) for type_ in TYPES))


def _cell(one: Counts, type_: str) -> str:
    """Return a number, and of what kinds it is where these are known."""
    kinds = one.kinds.get(type_, {})
    if type_ in ("opened", "clicked"):
        machines = sum(kinds.get(kind, 0) for kind in _MACHINES)
        kinds = {"by machines": machines} if machines else {}
    told = ", ".join(f"{kind} {number}" for kind, number in sorted(kinds.items()))
    return f"{one.events.get(type_, 0)}" + (f" ({told})" if told else "")
