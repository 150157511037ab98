"""``gatepost store``: making, upgrading, downgrading and pruning the databases, making the keys."""

from __future__ import annotations

from typing import TypeAlias

import click

from gatepost_cli import pruning
from gatepost_cli.group import Group
from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import Table, emit, note
from gatepost_cli.owner import as_owner_of
from gatepost_cli.postfix_here import told_of_host
from gatepost_cli.session import CliSession, confirmed, json_option, pass_session
from gatepost_cli.sharing import Shared, settle
from gatepost_cli.store_drain import drain
from gatepost_core.keys import keyring
from gatepost_core.serving import scratch
from gatepost_core.store import migrate
from gatepost_core.store.accounts import KEEP_DAYS_MOST
from gatepost_core.store.backend import DATABASES, Database
from gatepost_core.store.images import FileImageStore

Revisions: TypeAlias = dict[Database, tuple[str | None, str | None]]


def _targets(_ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]) -> dict[Database, str]:
    targets: dict[Database, str] = {}
    for text in texts:
        name, equals, schema = text.partition("=")
        database: Database | None = next((database for database in DATABASES if database == name), None)
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
    so that new files are his. Where daemons have users of their own, keys and folders go to their groups.
    """
    settings = session.settings
    revisions: Revisions = {database: _upgraded(session, database) for database in DATABASES}
    with as_owner_of(settings.keys.directory):
        made = [str(path) for path in keyring.create_missing(settings.keys.directory)]
    keyring.Keyring.load(settings.keys.directory)
    given = [str(path) for path in settle(Shared.of(settings))]
    databases = {
        database: {
            "file": session.store.where(database),
            "before": before,
            "after": after,
        }
        for database, (before, after) in revisions.items()
    }
    rows = [(str(entry["file"]), _done(entry["before"], entry["after"])) for entry in databases.values()]
    rows += [(path, "made") for path in made] or [(str(settings.keys.directory), "no key was missing")]
    rows += [(path, "given to the group that needs it") for path in given]
    told = told_of_host(settings)
    notes = [told] if told else []
    data = {"databases": databases, "keys_made": made, "given": given, "notes": notes}
    emit(session, data, Table(("file", "done"), rows))
    if told:
        note(session, f"note: {told}")


@command.command("status")
@json_option
@pass_session
def status(session: CliSession) -> None:
    """Show each database's schema beside the one that this release works with."""
    data, rows = {}, []
    for database in DATABASES:
        where, schema = session.store.where(database), session.store.revision(database)
        state = _state(database, schema)
        data[database] = {
            "file": where,
            "schema": schema,
            "release": migrate.head(database),
            "state": state,
        }
        rows.append((where, schema or "none", migrate.head(database), state))
    emit(session, data, Table(("file", "schema", "this release's", "state"), rows))


def _state(database: Database, schema: str | None) -> str:
    """Return ``missing``, ``current``, ``behind``, or ``ahead`` for a schema of a newer release."""
    if schema is None:
        return "missing"
    if schema == migrate.head(database):
        return "current"
    return "behind" if migrate.older(database, schema) else "ahead"


@command.command("prune")
@click.option(
    "--older-than",
    metavar="DAYS",
    type=click.IntRange(1, KEEP_DAYS_MOST),
    help="Keep no message longer than that this time, whatever its account and store.keep_days say.",
)
@click.option("--dry-run", is_flag=True, help="Say how many messages would go; remove nothing.")
@click.option("--yes", is_flag=True, help="Do not ask, with --older-than.")
@json_option
@pass_session
def prune(session: CliSession, older_than: int | None, dry_run: bool, yes: bool) -> None:
    """Remove messages that are older than they are to be kept, and hosted images that none has used for long.

    Messages go with their recipients and events: those older than store.keep_days, or their account's own
    --keep-days. gatepost-events removes them by itself too, more slowly. Images go once no message has used
    them for images.keep_days; for a timer, once a day. With images.keep_days = 0 only content goes that no
    account refers to any more. It may be interrupted, and run while mail flows: it gives way then.
    """
    keep = pruning.kept(session, older_than)
    number = pruning.old(session, keep)
    if dry_run:
        data = {"messages": number, "dry_run": True}
        emit(session, data, f"{number} messages would go; hosted images were not looked at.")
        return
    if older_than and number and not yes:
        confirmed(session, f"Remove {number} messages older than {older_than} days, of all accounts?")
    gone = pruning.run(session, keep, number)
    images, size, text = _pruned_images(session)
    data = {"messages": gone.messages, "events": gone.events, "counts": gone.counts}
    data |= {"images": images, "bytes": size, "keep_days": session.settings.images.keep_days}
    emit(session, data, f"{gone.messages} messages removed, with {gone.events} events; {text}")


def _pruned_images(session: CliSession) -> tuple[int, int, str]:
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
    return removed, size, text


@command.command("downgrade")
@click.argument("schemas", nargs=-1, required=True, metavar="DATABASE=SCHEMA...", callback=_targets)
@json_option
@pass_session
def downgrade(session: CliSession, schemas: dict[Database, str]) -> None:
    """Take databases back to the schema of an older release, which is to be installed next.

    Each as directory=SCHEMA or journal=SCHEMA; the older release's 'gatepost store status' shows which. What
    only the newer schema can hold is lost: make a backup first.
    """
    done = {}
    for database, target in schemas.items():
        before, after = session.store.downgrade(database, target)
        done[database] = {"before": before, "after": after}
    rows = [(database, f"from schema {one['before']} to {one['after']}") for database, one in done.items()]
    emit(session, done, Table(("database", "done"), rows))


command.add_command(drain)


def _upgraded(session: CliSession, database: Database) -> tuple[str | None, str | None]:
    file = session.store.file(database)
    if file is not None:
        with as_owner_of(file.parent):
            scratch.sweep(file.parent)
    return session.store.upgrade(database)


def _done(before: str | None, after: str | None) -> str:
    if before is None:
        return f"made, at schema {after}"
    return f"nothing to do, at schema {after}" if before == after else f"from schema {before} to {after}"
