"""``gatepost store``: making and upgrading the databases and the key directory."""

from __future__ import annotations

from typing import TypeAlias

import click

from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import Table, emit
from gatepost_cli.owner import as_owner_of
from gatepost_cli.session import Session, json_option, pass_session
from gatepost_core import keyring
from gatepost_core.settings import StoreSettings
from gatepost_core.store import migrate
from gatepost_core.store.engine import database_file

Revisions: TypeAlias = dict[migrate.Line, tuple[str | None, str | None]]


@click.group(help=NOUNS["store"].help)
def command() -> None:
    """Hold the verbs."""


@command.command("upgrade")
@json_option
@pass_session
def upgrade(session: Session) -> None:
    """Make what is missing and bring databases to this release's schema.

    Running it again changes nothing. Root may run it: it then works as the owner of the directory,
    so that new files are his.
    """
    settings = session.settings
    revisions: Revisions = {line: _upgraded(settings.store, line) for line in migrate.LINES}
    with as_owner_of(settings.keys.directory):
        made = [str(path) for path in keyring.create_missing(settings.keys.directory)]
    keyring.Keyring.load(settings.keys.directory)
    databases = {
        line: {
            "file": str(database_file(migrate.url_of(settings.store, line))),
            "before": before,
            "after": after,
        }
        for line, (before, after) in revisions.items()
    }
    rows = [(str(entry["file"]), _done(entry["before"], entry["after"])) for entry in databases.values()]
    rows += [(path, "made") for path in made] or [(str(settings.keys.directory), "no key was missing")]
    emit(session, {"databases": databases, "keys_made": made}, Table(("file", "done"), rows))


def _upgraded(settings: StoreSettings, line: migrate.Line) -> tuple[str | None, str | None]:
    with as_owner_of(database_file(migrate.url_of(settings, line)).parent):
        return migrate.upgrade_line(settings, line)


def _done(before: str | None, after: str | None) -> str:
    if before is None:
        return f"made, at schema {after}"
    return f"nothing to do, at schema {after}" if before == after else f"from schema {before} to {after}"
