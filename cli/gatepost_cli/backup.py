"""``gatepost backup``: an archive of everything that a gateway cannot make again, and the way back."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import click

from gatepost_cli.group import Group
from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import emit, facts
from gatepost_cli.owner import as_owner_of
from gatepost_cli.session import Session, json_option, pass_session
from gatepost_core import backup, restore
from gatepost_core.backup import Manifest, Part
from gatepost_core.settings import file_of
from gatepost_core.store import migrate
from gatepost_core.store.engine import database_file

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(cls=Group, help=NOUNS["backup"].help)
def command() -> None:
    """Hold the verbs."""


@command.command("create")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--without",
    type=click.Choice(["images", "etc"]),
    multiple=True,
    help="Leave out hosted images, or settings, secrets and certificates. May be given several times.",
)
@json_option
@pass_session
def create(session: Session, file: Path, without: tuple[Part, ...]) -> None:
    """Write databases, keys, hosted images, settings, secrets and certificates into one archive.

    A gzipped tar file that only its owner can read. The daemons go on meanwhile: each database is copied
    as it is at one moment, and the copy checked. Keep it as safe as the gateway: it holds the keys.
    """
    settings = session.settings
    parts: list[Part] = [part for part in backup.PARTS if part not in without]
    schemas = {str(line): schema for line in migrate.LINES if (schema := _schema(session, line))}
    kept = backup.trees(settings, file_of(session.config), parts)
    with _copies(session) as copies:
        manifest = backup.create(file.absolute(), copies, kept, schemas, session.now)
    _show(session, file, manifest)


@command.command("verify")
@click.argument("file", type=_FILE)
@json_option
@pass_session
def verify(session: Session, file: Path) -> None:
    """Read an archive to its end and hold each file in it against its checksum."""
    with file.open("rb") as archive:
        manifest = backup.verify(archive)
    restore.fits(manifest)
    _show(session, file, manifest)


@command.command("restore")
@click.argument("file", type=_FILE)
@click.option("--settings", "with_etc", is_flag=True, help="Settings, secrets and certificates as well.")
@json_option
@pass_session
def put_back(session: Session, file: Path, with_etc: bool) -> None:
    """Put an archive's files in place. Stop the daemons and their sockets first.

    The archive is verified before anything is touched. What is replaced is kept beside it, with .before-TIME
    in its name. Run 'gatepost store upgrade' afterwards, then start the daemons.
    """
    with file.open("rb") as archive:
        manifest = backup.verify(archive)
        restore.fits(manifest)
        kept = _restore_etc(session, archive) if with_etc else []
        kept += _restore_databases(session, archive) + _restore_folders(session, archive)
    data = {"restored": str(file), "created_at": manifest.created_at, "kept": [str(path) for path in kept]}
    rows = [("restored", f"{file}, of {manifest.created_at}"), *(("kept", str(path)) for path in kept)]
    emit(session, data, facts(rows))


def _restore_etc(session: Session, archive: IO[bytes]) -> list[Path]:
    place = file_of(session.config).parent
    with restore.unpacked(archive, "etc", place) as folder:
        kept = restore.put_files(folder, place, session.now, replace=True)
    session.__dict__.pop("settings", None)  # they may name other places now
    return kept


def _restore_databases(session: Session, archive: IO[bytes]) -> list[Path]:
    kept: list[Path] = []
    for line in migrate.LINES:
        url = migrate.url_of(session.settings.store, line)
        place = database_file(url)
        with as_owner_of(place.parent), restore.unpacked(archive, "databases", place) as folder:
            kept += restore.put_database(folder, line, url, session.now)
    return kept


def _restore_folders(session: Session, archive: IO[bytes]) -> list[Path]:
    keys, images = session.settings.keys.directory, session.settings.images.directory
    with as_owner_of(keys.parent), restore.unpacked(archive, "keys", keys) as folder:
        kept = restore.put_folder(folder, keys, session.now)
    with as_owner_of(images.parent), restore.unpacked(archive, "images", images) as folder:
        kept += restore.put_files(folder, images, session.now, replace=False)
    return kept


@contextmanager
def _copies(session: Session) -> Iterator[dict[str, Path]]:
    """Copy the databases beside themselves, as their owner; the copies are gone at the end."""
    with ExitStack() as stack:
        copies: dict[str, Path] = {}
        for name, url in backup.databases(session.settings).items():
            file = database_file(url)
            with as_owner_of(file.parent):
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=".backup-", dir=file.parent))
                copies[name] = Path(folder) / file.name
                backup.copy_database(url, copies[name])
        yield copies


def _schema(session: Session, line: migrate.Line) -> str | None:
    store = session.settings.store
    with as_owner_of(database_file(migrate.url_of(store, line)).parent):
        return migrate.revision(store, line)


def _show(session: Session, file: Path, manifest: Manifest) -> None:
    size = sum(member.size for member in manifest.files.values())
    data = {
        "file": str(file),
        "version": manifest.version,
        "created_at": manifest.created_at,
        "schemas": manifest.schemas,
        "files": len(manifest.files),
        "bytes": size,
    }
    emit(session, data, facts((name.replace("_", " "), str(value)) for name, value in data.items()))
