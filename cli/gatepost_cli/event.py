"""``gatepost event``: what happened to messages."""

from __future__ import annotations

from typing import Any

import click

from gatepost_cli import behind, event_export, following, listing
from gatepost_cli.complete import credential_names
from gatepost_cli.event_shown import show
from gatepost_cli.event_view import COLUMNS, account_names, data_of, row_of
from gatepost_cli.group import Group
from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import Table, emit, emit_each, on_terminal
from gatepost_cli.session import CliSession, json_option, pass_session
from gatepost_core.domain import shown
from gatepost_core.store import events

# No type that an event can have is longer.
_TYPE_MOST = 32


@click.group(cls=Group, help=NOUNS["event"].help)
def command() -> None:
    """Hold the verbs."""


command.add_command(show)


def _types(_ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        if not text.isidentifier() or len(text) > _TYPE_MOST:
            raise click.BadParameter(f"{shown(text)} is no type of event; expected one such as delivered")
    return texts


_type_option = click.option(
    "--type",
    "types",
    metavar="TYPE",
    multiple=True,
    callback=_types,
    help="Only of this type, such as accepted, delivered or bounced; may be given several times.",
)


@command.command("list")
@click.option("--message", metavar="ID|QUEUE-ID|MESSAGE-ID", help="Only this message's.")
@_type_option
@click.option("--credential", metavar="USER", shell_complete=credential_names, help="Only this credential's.")
@listing.since_option
@listing.until_option
@listing.limit_option
@listing.after_option
@click.option(
    "--follow",
    is_flag=True,
    help="Oldest first, then each event as it comes, a line each (with --json an object a line), until "
    "Ctrl-C or until nobody reads on.",
)
@json_option
@pass_session
def list_(session: CliSession, /, limit: int, after: str, follow: bool, **asked: Any) -> None:
    """Show the newest events. What is asked for with several options has to meet all of them.

    Followed, each event comes once, also those that are noted late: by the node that noted them, in the order
    in which it did. A search that has to look at very many events stops after a moment, and says how to go
    on.
    """
    wanted = events.Wanted(**{name: value for name, value in asked.items() if value is not None})
    if follow:
        _follow(session, wanted, limit, after)
        return
    missing = behind.look(session)
    accounts = account_names(session)
    with session.journal() as connection:
        walk = events.walk(connection, wanted, limit, after)
        if on_terminal(session):
            emit(session, None, Table(COLUMNS, [row_of(one) for one in walk], prose=("detail",), flow=True))
        else:
            emit_each(session, COLUMNS, walk, lambda one: data_of(one, accounts), row_of)
    listing.tell(session, walk)
    behind.tell(session, missing)


@command.command("export")
@click.option(
    "--format",
    "form",
    type=click.Choice(event_export.FORMATS),
    default="csv",
    show_default=True,
    help="CSV (RFC 4180), or JSON, an object a line.",
)
@click.option("--message", metavar="ID|QUEUE-ID|MESSAGE-ID", help="Only this message's.")
@_type_option
@click.option("--credential", metavar="USER", shell_complete=credential_names, help="Only this credential's.")
@listing.since_option
@listing.until_option
@json_option
@pass_session
def export(session: CliSession, /, form: str, **asked: Any) -> None:
    """Print all events that are asked for, newest first, for another program.

    Tags, metadata and detail are JSON in a CSV file, too. While it goes to a file, a terminal shows how many
    there are so far. With --json: as --format jsonl.
    """
    wanted = events.Wanted(**{name: value for name, value in asked.items() if value is not None})
    missing = behind.look(session)
    event_export.export(session, wanted, "jsonl" if session.as_json else form, account_names(session))
    behind.tell(session, missing)


def _follow(session: CliSession, wanted: events.Wanted, limit: int, after: str) -> None:
    if wanted.until is not None or after:
        raise click.UsageError("--follow has no end; leave --until and --after out")
    following.follow(session, wanted, limit)
