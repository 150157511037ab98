"""``gatepost account``: the owners of credentials and sender domains."""

from __future__ import annotations

from typing import Any

import click

from gatepost_cli.complete import account_names
from gatepost_cli.group import Group
from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import Table, emit, stamp
from gatepost_cli.session import Session, json_option, pass_session
from gatepost_core.model import Account
from gatepost_core.store import accounts


@click.group(cls=Group, help=NOUNS["account"].help)
def command() -> None:
    """Hold the verbs."""


@command.command("add")
@click.argument("name")
@json_option
@pass_session
def add(session: Session, name: str) -> None:
    """Make an account."""
    with session.directory(write=True) as connection:
        account = accounts.add(connection, name, session.now)
    emit(session, _data(account), f"Account {account.name} made.")


@command.command("list")
@json_option
@pass_session
def list_(session: Session) -> None:
    """Show all accounts."""
    with session.directory() as connection:
        found = accounts.everyone(connection)
    rows = [(account.name, stamp(account.created_at) or "") for account in found]
    emit(session, [_data(account) for account in found], Table(("account", "created"), rows))


@command.command("remove")
@click.argument("name", shell_complete=account_names)
@json_option
@pass_session
def remove(session: Session, name: str) -> None:
    """Remove an account that owns no credential and no domain any more."""
    with session.directory(write=True) as connection:
        accounts.remove(connection, name)
    emit(session, {"removed": name}, f"Account {name} removed.")


def _data(account: Account) -> dict[str, Any]:
    return {"name": account.name, "created_at": stamp(account.created_at)}
