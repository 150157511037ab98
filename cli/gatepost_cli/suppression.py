"""``gatepost suppression``: whom an account's mail is not to reach any more."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from gatepost_cli import listing, values
from gatepost_cli.bad_values import of_options
from gatepost_cli.complete import account_names, credential_names
from gatepost_cli.group import Group
from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import Table, emit, emit_each, facts, on_terminal
from gatepost_cli.session import CliSession, confirmed, json_option, pass_session
from gatepost_cli.suppression_files import export, import_
from gatepost_cli.suppression_view import COLUMNS, REASONS, pairs_of, row_of
from gatepost_cli.values import Never
from gatepost_core.domain import NotFound, shown
from gatepost_core.domain.suppressing import DETAIL_MOST, NoAddressError, Reason, Scope, entered, hashed
from gatepost_core.service import suppressions as service
from gatepost_core.service.views import suppression_data
from gatepost_core.store import suppressions
from gatepost_core.store.suppressions import Listed


@click.group(cls=Group, help=NOUNS["suppression"].help)
def command() -> None:
    """Hold the verbs."""


def _address(_ctx: click.Context, _param: click.Parameter, text: str | None) -> str | None:
    try:
        return None if text is None else entered(text)
    except NoAddressError as error:
        raise click.BadParameter(str(error)) from error


_owner = click.option(
    "--account", required=True, metavar="ACCOUNT", shell_complete=account_names, help="Whose mail."
)
_of_account = click.option(
    "--account", default="", metavar="ACCOUNT", shell_complete=account_names, help="Only this account's."
)
_credential = click.option(
    "--credential",
    metavar="USER",
    shell_complete=credential_names,
    help="Only for mail of this credential; without it for all of the account's.",
)


for _verb in (import_, export):
    command.add_command(_verb)


@command.command("add")
@click.argument("address", metavar="ADDRESS|DOMAIN", callback=_address)
@_owner
@_credential
@click.option("--tag", metavar="TAG", help="Only for those of the credential's messages that have this tag.")
@click.option("--expires", metavar="TIME", callback=values.expiry, help="Until 2027-01-31, 90d or never.")
@click.option("--note", "text", metavar="TEXT", default="", help="Why, for whoever asks later.")
@json_option
@pass_session
def add(
    session: CliSession,
    address: str,
    account: str,
    credential: str | None,
    tag: str | None,
    expires: datetime | Never | None,
    text: str,
) -> None:
    """Suppress an address, a domain (example.org), or all domains below one (*.example.org)."""
    if len(text) > DETAIL_MOST or not text.isprintable():
        raise click.UsageError(f"--note takes at most {DETAIL_MOST} characters on one line")
    if tag is not None and credential is None:
        raise click.UsageError("--tag is about a credential's messages; name it with --credential")
    ends = expires if isinstance(expires, datetime) else None
    new = service.New(address, account, credential or "", tag or "", ends, text)
    with of_options():
        found = service.add(session.context, new)
    _show(session, [found])


@command.command("list")
@_of_account
@click.option("--to", "address", metavar="ADDRESS|DOMAIN", default="", help="Only what this would match.")
@click.option("--reason", type=click.Choice(REASONS), help="Only of this reason.")
@click.option("--scope", type=click.Choice([one.value for one in Scope]), help="Only of this scope.")
@click.option("--removed", is_flag=True, help="Those that were lifted as well.")
@listing.since_option
@listing.until_option
@listing.limit_option
@listing.after_option
@json_option
@pass_session
def list_(
    session: CliSession, /, limit: int, after: str, reason: str | None, scope: str | None, **asked: Any
) -> None:
    """Show whom mail does not reach, the newest first. Options are about when one was noted.

    What is asked for with several options has to meet all of them. A search that has to look at very many
    stops after a moment, and says how to go on.
    """
    wanted = suppressions.Wanted(
        **asked, reason=Reason(reason) if reason else None, scope=Scope(scope) if scope else None
    )
    with session.directory() as connection:
        walk = suppressions.walk(connection, wanted, limit, after)
        if on_terminal(session):
            rows = [row_of(one, session.now) for one in walk]
            emit(session, None, Table(COLUMNS, rows, prose=("detail",), drop=("message", "id"), flow=True))
        else:
            now = session.now
            emit_each(
                session, COLUMNS, walk, lambda one: suppression_data(one, now), lambda one: row_of(one, now)
            )
    listing.tell(session, walk)


@command.command("show")
@click.argument("address", metavar="ADDRESS|DOMAIN")
@_of_account
@json_option
@pass_session
def show(session: CliSession, address: str, account: str) -> None:
    """Show all that matches an address: what stands, what expired, what was lifted, and where it came from.

    Its event and message are named where they are known: 'gatepost message show ID' has the rest.
    """
    with session.directory() as connection:
        found = suppressions.matching(connection, address, account)
    if not found:
        raise NotFound(f"{shown(address)} is not suppressed; 'gatepost suppression list' shows who is")

    _show(session, found)


@command.command("remove")
@click.argument("address", metavar="ADDRESS|DOMAIN", callback=_address)
@_owner
@click.option(
    "--credential",
    metavar="USER",
    shell_complete=credential_names,
    help="Only what counts for this credential's mail; without it all that stands of the address.",
)
@click.option("--tag", metavar="TAG", help="Only what counts for messages with this tag.")
@json_option
@pass_session
def remove(session: CliSession, address: str, account: str, credential: str | None, tag: str | None) -> None:
    """Lift a suppression: mail reaches the address again, at once.

    What happened before does not bring it back; what happens from now on may. An entry of a domain is lifted
    by the domain's name.
    """
    found = service.lift(session.context, account, address, credential, tag)
    data = {"removed": [suppression_data(Listed(account, one), session.now) for one in found]}
    what = f"{address}: no longer suppressed for account {account}"
    what += "" if credential is None else f", credential {credential}"
    emit(session, data, f"{what}." if tag is None else f"{what}, tag {tag}.")


@command.command("forget")
@click.argument("address", metavar="ADDRESS", callback=_address)
@_of_account
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_session
def forget(session: CliSession, address: str, account: str, yes: bool) -> None:
    """Forget an address, and go on refusing mail to it: a hash of it is kept, and no note.

    For somebody whose data are to be erased. Whoever has the address can still ask whether it is suppressed
    ('show', 'remove'). Messages and events have their own time to be kept.
    """
    if not yes:
        confirmed(session, f"Keep only a hash of {address}?")
    with session.changing() as work:
        number = suppressions.forget(work.connection, address, account)
        if number:  # without the address: it is to be known nowhere
            work.note("suppression.forget", hashed(address), account or None, None, {"entries": number})
    if not number:
        raise NotFound(f"{shown(address)} is in no suppression; 'gatepost suppression list' shows all")
    emit(session, {"forgotten": number}, f"Forgotten in {number} entries; mail there is refused as before.")


def _show(session: CliSession, found: list[Listed]) -> None:
    data = [suppression_data(one, session.now) for one in found]
    pairs = [pair for one in found for pair in pairs_of(one, session.now)]
    emit(session, data, facts(pairs))
