"""``gatepost account``: the owners of credentials and sender domains."""

from __future__ import annotations

from typing import Any

import click

from gatepost_cli import values
from gatepost_cli.complete import account_names
from gatepost_cli.group import Group
from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import Table, emit, facts, stamp
from gatepost_cli.owner import as_owner_of
from gatepost_cli.session import CliSession, json_option, pass_session
from gatepost_core.domain import Account
from gatepost_core.store import accounts
from gatepost_core.store.images import FileImageStore


@click.group(cls=Group, help=NOUNS["account"].help)
def command() -> None:
    """Hold the verbs."""


@command.command("add")
@click.argument("name")
@json_option
@pass_session
def add(session: CliSession, name: str) -> None:
    """Make an account."""
    with session.directory(write=True) as connection:
        account = accounts.add(connection, name, session.now)
    emit(session, _data(account), f"Account {account.name} made.")


@command.command("list")
@json_option
@pass_session
def list_(session: CliSession) -> None:
    """Show all accounts."""
    with session.directory() as connection:
        found = accounts.list_all(connection)
    rows = [(account.name, stamp(account.created_at) or "") for account in found]
    emit(session, [_data(account) for account in found], Table(("account", "created"), rows))


@command.command("show")
@click.argument("name", shell_complete=account_names)
@json_option
@pass_session
def show(session: CliSession, name: str) -> None:
    """Show an account, and what its hosted images take."""
    with session.directory() as connection:
        account = accounts.get(connection, name)
    _emit(session, account)


@command.command("set")
@click.argument("name", shell_complete=account_names)
@click.option(
    "--image-quota",
    metavar="SIZE",
    required=True,
    callback=values.size,
    help="Bytes that its hosted images may have, such as 500M or 2G; 0: none is hosted; default: what the "
    "setting images.quota says.",
)
@json_option
@pass_session
def set_(session: CliSession, name: str, image_quota: int | None) -> None:
    """Change an account. It counts from the next message on; what is hosted already stays."""
    with session.directory(write=True) as connection:
        account = accounts.set_image_quota(connection, name, image_quota)
    _emit(session, account)


@command.command("remove")
@click.argument("name", shell_complete=account_names)
@json_option
@pass_session
def remove(session: CliSession, name: str) -> None:
    """Remove an account that owns no credential and no domain any more, and its hosted images."""
    with session.directory(write=True) as connection:
        account = accounts.remove(connection, name)
    directory = session.settings.images.directory
    with as_owner_of(directory):
        FileImageStore(directory).forget(account.id)
    emit(session, {"removed": name}, f"Account {name} removed.")


def _emit(session: CliSession, account: Account) -> None:
    images = session.settings.images
    with as_owner_of(images.directory):
        used = FileImageStore(images.directory).used(account.id)
    quota = images.quota if account.image_quota is None else account.image_quota
    origin = "by images.quota" if account.image_quota is None else "set for this account"
    rows = [
        ("account", account.name),
        ("created", stamp(account.created_at) or ""),
        ("hosted images", f"{used} bytes of {quota}, {origin}"),
    ]
    data = {
        **_data(account),
        "image_bytes": used,
        "image_quota": quota,
        "image_quota_set": account.image_quota,
    }
    emit(session, data, facts(rows))


def _data(account: Account) -> dict[str, Any]:
    return {"name": account.name, "created_at": stamp(account.created_at)}
