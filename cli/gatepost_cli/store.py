"""``gatepost store``: making, upgrading and downgrading the databases, making the keys."""

from __future__ import annotations

from typing import TypeAlias

import click

from gatepost_cli.group import Group
from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import Table, emit, note
from gatepost_cli.owner import as_owner_of
from gatepost_cli.postfix_here import told_of_host
from gatepost_cli.session import CliSession, json_option, pass_session
from gatepost_core.keys import keyring
from gatepost_core.serving import scratch
from gatepost_core.settings import StoreSettings
from gatepost_core.store import database_file, migrate
from gatepost_core.store.images import FileImageStore

Revisions: TypeAlias = dict[migrate.Database, tuple[str | None, str | None]]


def _targets(
    _ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]
) -> dict[migrate.Database, str]:
    targets: dict[migrate.Database, str] = {}
    for text in texts:
        name, equals, schema = text.partition("=")
        database: migrate.Database | None = next(
            (database for database in migrate.DATABASES if database == name), None
        )
        if database is None or not (equals and schema):
            raise click.BadParameter(
                f"{text!r}: expected directory=SCHEMA or journal=SCHEMA, such as journal=0003"
            )
        targets[database] = schema
    return targets


@click.group(cls=Group, help=NOUNS["store"].help)
def command() -> None:
    """Hold the verbs."""


@command.command("upgrade")
@json_option
@pass_session
def upgrade(session: CliSession) -> None:
    """Make what is missing and bring databases to this release's schema.

    Running it again changes nothing. Root may run it: it then works as the owner of the directory,
    so that new files are his.
    """
    settings = session.settings
    revisions: Revisions = {database: _upgraded(settings.store, database) for database in migrate.DATABASES}
    with as_owner_of(settings.keys.directory):
        made = [str(path) for path in keyring.create_missing(settings.keys.directory)]
    keyring.Keyring.load(settings.keys.directory)
    databases = {
        database: {
            "file": str(database_file(migrate.url_of(settings.store, database))),
            "before": before,
            "after": after,
        }
        for database, (before, after) in revisions.items()
    }
    rows = [(str(entry["file"]), _done(entry["before"], entry["after"])) for entry in databases.values()]
    rows += [(path, "made") for path in made] or [(str(settings.keys.directory), "no key was missing")]
    told = told_of_host(settings)
    data = {"databases": databases, "keys_made": made, "notes": [told] if told else []}
    emit(session, data, Table(("file", "done"), rows))
    if told:
        note(session, f"note: {told}")


@command.command("status")
@json_option
@pass_session
def status(session: CliSession) -> None:
    """Show each database's schema beside the one that this release works with."""
    data, rows = {}, []
    for database in migrate.DATABASES:
        file = database_file(migrate.url_of(session.settings.store, database))
        with as_owner_of(file.parent):
            schema = migrate.revision(session.settings.store, database)
        state = _state(database, schema)
        data[database] = {
            "file": str(file),
            "schema": schema,
            "release": migrate.head(database),
            "state": state,
        }
        rows.append((str(file), schema or "none", migrate.head(database), state))
    emit(session, data, Table(("file", "schema", "this release's", "state"), rows))


def _state(database: migrate.Database, schema: str | None) -> str:
    """Return ``missing``, ``current``, ``behind``, or ``ahead`` for a schema of a newer release."""
    if schema is None:
        return "missing"
    if schema == migrate.head(database):
        return "current"
    return "behind" if migrate.older(database, schema) else "ahead"


@command.command("prune")
@json_option
@pass_session
def prune(session: CliSession) -> None:
    """Remove hosted images that no message has used for as many days as images.keep_days says.

    For a timer, once a day. With images.keep_days = 0 only content goes that no account refers to any more.
    """
    images = session.settings.images
    days = images.keep_days
    before = session.now.timestamp() - days * 86_400 if days else 0.0
    with as_owner_of(images.directory):
        removed, size = FileImageStore(images.directory).prune(before)
    text = (
        f"{removed} hosted images removed, {size} bytes"
        if days
        else "no image removed: images.keep_days is 0"
    )
    emit(session, {"images": removed, "bytes": size, "keep_days": days}, text)


@command.command("downgrade")
@click.argument("schemas", nargs=-1, required=True, metavar="DATABASE=SCHEMA...", callback=_targets)
@json_option
@pass_session
def downgrade(session: CliSession, schemas: dict[migrate.Database, str]) -> None:
    """Take databases back to the schema of an older release, which is to be installed next.

    Each as directory=SCHEMA or journal=SCHEMA; the older release's 'gatepost store status' shows which. What
    only the newer schema can hold is lost: make a backup first.
    """
    done = {}
    for database, target in schemas.items():
        with as_owner_of(database_file(migrate.url_of(session.settings.store, database)).parent):
            before, after = migrate.downgrade_one(session.settings.store, database, target)
        done[database] = {"before": before, "after": after}
    rows = [(database, f"from schema {one['before']} to {one['after']}") for database, one in done.items()]
    emit(session, done, Table(("database", "done"), rows))


def _upgraded(settings: StoreSettings, database: migrate.Database) -> tuple[str | None, str | None]:
    folder = database_file(migrate.url_of(settings, database)).parent
    with as_owner_of(folder):
        scratch.sweep(folder)
        return migrate.upgrade_one(settings, database)


def _done(before: str | None, after: str | None) -> str:
    if before is None:
        return f"made, at schema {after}"
    return f"nothing to do, at schema {after}" if before == after else f"from schema {before} to {after}"
