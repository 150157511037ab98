"""``gatepost limit``: how full limits are, and a fresh start for them.

Limits themselves are set where they belong: ``gatepost credential set --limit``, and the same of accounts.
A reset is noted with the counters, and goes to the system's log.
"""

from __future__ import annotations

import click

from gatepost_cli import limit_view
from gatepost_cli.caller import caller, noted
from gatepost_cli.complete import account_names, credential_names
from gatepost_cli.group import Group
from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import emit, on_terminal
from gatepost_cli.session import CliSession, json_option, pass_session
from gatepost_core.domain import Credential
from gatepost_core.domain.limits.charges import account_key, own_key
from gatepost_core.domain.limits.verdicts import moment
from gatepost_core.service.limits import charges, gauges
from gatepost_core.store import accounts, credentials


@click.group(cls=Group, help=NOUNS["limit"].help)
def command() -> None:
    """Hold the verbs."""


_credential = click.option(
    "--credential", "user", metavar="USER", shell_complete=credential_names, help="Those of one credential."
)
_account = click.option(
    "--account", metavar="ACCOUNT", shell_complete=account_names, help="Those of one account."
)


@command.command("show")
@_credential
@_account
@json_option
@pass_session
def show(session: CliSession, user: str | None, account: str | None) -> None:
    """Show limits with use and reset time: all of them, one account's, or one credential's."""
    wanted = list(charges(session.context, _chosen(session, user, account)))
    with limit_view.counters(session) as opened:
        found = gauges(opened, wanted)
    emit(session, [one.data() for one in found], limit_view.table(found, bars=on_terminal(session)))


@command.command("reset")
@_credential
@_account
@json_option
@pass_session
def reset(session: CliSession, user: str | None, account: str | None) -> None:
    """Set what one credential, or one account, has used to 0. It is noted who did it."""
    if (user is None) == (account is None):
        raise click.UsageError("give one of --credential and --account")
    key, whose, owner = _key(session, user, account)
    by = caller()
    with limit_view.counters(session) as opened:
        had = opened.reset(key, by)
        before = opened.resets(key)
    noted(f"limits of {whose} reset by {by}, {had} counters had something")
    with session.changing() as work:
        work.note("limit.reset", user or account or "", owner, None, {"counters": had})
    resets = [{"at": moment(one.at), "by": one.by, "counters": one.counters} for one in before]
    emit(
        session,
        {"reset": whose, "counters": had, "resets": resets},
        f"Limits of {whose} reset: {had} counters had something.",
    )


def usage(session: CliSession, user: str) -> None:
    """Print how full the limits of one credential and of its account are, with bars."""
    with session.directory() as connection:
        credential = credentials.get(connection, user)
    with limit_view.counters(session) as opened:
        found = gauges(opened, list(charges(session.context, [credential])))
        resets = opened.resets(own_key(credential))
    data = {
        "username": credential.username,
        "account": credential.account,
        "limits": [one.data() for one in found],
        "resets": [{"at": moment(one.at), "by": one.by} for one in resets],
    }
    emit(session, data, limit_view.table(found, bars=on_terminal(session)) if found else "No limits.")
    if resets and not session.as_json:
        click.echo(f"last reset at {moment(resets[-1].at)} by {resets[-1].by}", err=True)


def _chosen(session: CliSession, user: str | None, account: str | None) -> list[Credential]:
    with session.directory() as connection:
        if user is not None:
            return [credentials.get(connection, user)]
        return credentials.list_all(connection, account)


def _key(session: CliSession, user: str | None, account: str | None) -> tuple[str, str, str]:
    """Return what the counters of one begin with, what it is in words, and whose account it is."""
    with session.directory() as connection:
        if user is not None:
            found = credentials.get(connection, user)
            return own_key(found), f"credential {user}", found.account
        owner = accounts.get(connection, account or "")
    key = account_key(owner.id, int(owner.created_at.timestamp()))
    return key, f"account {owner.name}", owner.name
