"""``gatepost token``: API tokens. A token is printed once, by ``add``; no other command prints one."""

from __future__ import annotations

from datetime import datetime

import click

from gatepost_cli import values
from gatepost_cli.bad_values import of_options
from gatepost_cli.complete import account_names, token_ids
from gatepost_cli.group import Group
from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import Table, emit, facts, note, stamp
from gatepost_cli.session import CliSession, json_option, pass_session
from gatepost_core.domain.access import EVERY, KINDS, ScopeError, Token
from gatepost_core.domain.access import scopes as read_scopes
from gatepost_core.service import tokens as service
from gatepost_core.service.views import token_data


@click.group(cls=Group, help=NOUNS["token"].help)
def command() -> None:
    """Hold the verbs."""


def _scopes(_ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]) -> frozenset[str]:
    try:
        return read_scopes(part for text in texts for part in text.split(","))
    except ScopeError as error:
        raise click.BadParameter(str(error)) from error


@command.command("add")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    metavar="SCOPE",
    multiple=True,
    required=True,
    callback=_scopes,
    help="What it may do: KIND:read, KIND:write, KIND for both, read, write or all; KIND is one of "
    f"{', '.join(KINDS)}. May be given several times.",
)
@click.option(
    "--account",
    metavar="ACCOUNT",
    shell_complete=account_names,
    help="The one account that it sees; without it, it is an operator's and sees all.",
)
@click.option(
    "--network",
    "networks",
    metavar="CIDR",
    multiple=True,
    help="A network that it may be used from. May be given several times; without it, from anywhere.",
)
@click.option(
    "--expires",
    metavar="DATE|never",
    callback=values.expiry,
    help="When it ends: 2027-01-31T18:00 (UTC), 90d, or never.",
)
@json_option
@pass_session
def add(
    session: CliSession,
    name: str,
    scopes: frozenset[str],
    account: str | None,
    networks: tuple[str, ...],
    expires: datetime | values.Never | None,
) -> None:
    """Make an API token called NAME; print it, this once."""
    end = expires if isinstance(expires, datetime) else None
    with of_options():
        made = service.add(session.context, service.New(name, scopes, account, networks, end))
    data = {**token_data(made.token, session.now), "token": made.text}
    emit(session, data, facts([*_rows(made.token, session.now), ("token", made.text)]))
    note(session, "The token is not kept and will not be shown again.")


@command.command("list")
@click.option("--account", metavar="ACCOUNT", shell_complete=account_names, help="Only this account's.")
@json_option
@pass_session
def list_(session: CliSession, account: str | None) -> None:
    """Show all API tokens: whose they are, what they may do, when each was last used."""
    found, now = service.every(session.context, account), session.now
    columns = ("id", "name", "account", "scopes", "ends", "last used")
    rows = [
        (one.id, one.name, one.account or "operators", _spelt(one), _end(one, now), _used(one))
        for one in found
    ]
    shown = Table(columns, rows, prose=("scopes",), drop=("last used", "ends"))
    emit(session, [token_data(one, now) for one in found], shown)


@command.command("show")
@click.argument("token_id", metavar="ID", shell_complete=token_ids)
@json_option
@pass_session
def show(session: CliSession, token_id: str) -> None:
    """Show one API token, by its id."""
    token, now = service.show(session.context, token_id), session.now
    emit(session, token_data(token, now), facts(_rows(token, now)))


@command.command("remove")
@click.argument("token_id", metavar="ID", shell_complete=token_ids)
@json_option
@pass_session
def remove(session: CliSession, token_id: str) -> None:
    """Remove an API token, by its id; it counts for nothing from now on."""
    token = service.remove(session.context, token_id)
    emit(session, {"removed": token.id}, f"Token {token.name} removed.")


def _rows(token: Token, now: datetime) -> list[tuple[str, str]]:
    return [
        ("id", token.id),
        ("name", token.name),
        ("account", token.account or "none: an operator's"),
        ("scopes", _spelt(token)),
        ("networks", ", ".join(token.networks) or "any"),
        ("made", f"{stamp(token.created_at)} by {token.created_by}"),
        ("ends", _end(token, now)),
        ("last used", _used(token)),
    ]


def _spelt(token: Token) -> str:
    """Return the scopes as ``--scope`` takes them, the shortest way."""
    if token.scopes == EVERY:
        return "all"
    found = []
    for kind, ways in KINDS.items():
        have = [way for way in ways if f"{kind}:{way}" in token.scopes]
        found += [kind] if len(have) == len(ways) else [f"{kind}:{way}" for way in have]
    return ", ".join(found)


def _end(token: Token, now: datetime) -> str:
    if token.expires_at is None:
        return "never"
    return f"{stamp(token.expires_at)}{', which is over' if token.over(now) else ''}"


def _used(token: Token) -> str:
    return f"{stamp(token.last_used_at)} from {token.last_used_ip}" if token.last_used_at else "never"
