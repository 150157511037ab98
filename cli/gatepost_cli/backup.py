"""``gatepost backup``: an archive of everything that a gateway cannot make again, and the way back."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

import click

from gatepost_cli.archives import backup, restore, spooled
from gatepost_cli.archives.backup import Manifest, Part
from gatepost_cli.group import Group
from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import emit, facts
from gatepost_cli.owner import as_owner_of
from gatepost_cli.restoring import Restoring
from gatepost_cli.session import CliSession, json_option, pass_session
from gatepost_core import spool
from gatepost_core.serving import scratch
from gatepost_core.settings import file_of
from gatepost_core.store import copy_places, places_file
from gatepost_core.store.backend import DATABASES

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
def create(session: CliSession, file: Path, without: tuple[Part, ...]) -> None:
    """Write databases, spool, keys, hosted images, settings, secrets and certificates into one archive.

    A gzipped tar file that only its owner can read. The daemons go on meanwhile: each database is copied
    as it is at one moment, and the copy checked; then the files of the spool that it has not all of, so that
    nothing that was accepted before is missing. Keep it as safe as the gateway: it holds the keys.
    """
    settings = session.settings
    parts: list[Part] = [part for part in backup.PARTS if part not in without]
    schemas = {
        str(database): schema for database in DATABASES if (schema := session.store.revision(database))
    }
    kept = backup.trees(settings, file_of(session.config), parts)
    with _stoppable(), _spool_kept(settings.spool.directory), _copies(session) as copies:
        segments = spooled.segments(
            settings.spool.directory, session.store.finished_in(copies[backup.JOURNAL])
        )
        manifest = backup.create(file.absolute(), copies, kept, schemas, session.now, segments)
    _show(session, file, manifest)


@command.command("verify")
@click.argument("file", type=_FILE)
@json_option
@pass_session
def verify(session: CliSession, file: Path) -> None:
    """Do all that 'restore --settings' does before it touches anything.

    Each file is held against its checksum, databases, keys and settings are unpacked and looked at; where, is
    said by TMPDIR if the archive's own folder cannot be written to.
    """
    beside = file.absolute().parent
    place = beside if os.access(beside, os.W_OK) else Path(tempfile.gettempdir())
    with _stoppable(), file.open("rb") as archive, scratch.folder(place) as folder:
        manifest = _verified(archive)
        for part in ("databases", "keys", "etc"):
            (folder / part).mkdir()
            restore.unpack(archive, manifest, part, folder / part)
        restore.check_databases(folder / "databases", manifest, session.store)
        restore.check_keys(folder / "keys")
        if any(name.startswith("etc/") for name in manifest.files):
            restore.settings_of(folder / "etc", file_of(session.config), session.overrides)
    _show(session, file, manifest)


@command.command("restore")
@click.argument("file", type=_FILE)
@click.option("--settings", "with_etc", is_flag=True, help="Settings, secrets and certificates as well.")
@json_option
@pass_session
def put_back(session: CliSession, file: Path, with_etc: bool) -> None:
    """Put an archive's files in place, all of them or none. Stop the daemons and their sockets first.

    The archive is unpacked and verified before anything is touched; a step that fails takes the others back.
    What is replaced is kept beside it, with .before-TIME in its name. Only folders that this host's settings
    name, and those below /var/lib/gatepost, are used. Run 'gatepost store upgrade' afterwards, then start
    the daemons.
    """
    with _stoppable(), file.open("rb") as archive, ExitStack() as stack:
        manifest = _verified(archive)
        kept = Restoring(session, archive, manifest, stack).run(with_etc=with_etc)
    data = {"restored": str(file), "created_at": manifest.created_at, "kept": [str(path) for path in kept]}
    rows = [("restored", f"{file}, of {manifest.created_at}"), *(("kept", str(path)) for path in kept)]
    emit(session, data, facts(rows))


def _verified(archive: IO[bytes]) -> Manifest:
    manifest = backup.verify(archive)
    restore.fits(manifest)
    return manifest


@contextmanager
def _stoppable() -> Iterator[None]:
    """Have SIGTERM and SIGHUP end the command as Ctrl-C does: what it worked in goes."""

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        sys.exit(128 + number)  # as shells count

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _spool_kept(directory: Path) -> Iterator[None]:
    """Have no file of the spool make room until it is copied."""
    with ExitStack() as stack:
        with as_owner_of(directory):
            stack.enter_context(spool.kept(spool.streams(directory)))
        yield


@contextmanager
def _copies(session: CliSession) -> Iterator[dict[str, Path]]:
    """Copy the databases beside themselves, as their owner; the copies are gone at the end."""
    with ExitStack() as stack:
        copies: dict[str, Path] = {}
        for name, database in backup.databases().items():
            file = session.store.file(database)
            place = session.store.home if file is None else file.parent
            with as_owner_of(place):
                folder = stack.enter_context(scratch.folder(place))
                copies[name] = folder / f"{database}.db"
                session.store.copy(database, copies[name])
        counters = session.settings.limits.counters
        with as_owner_of(counters.parent):
            if places_file(counters).exists():
                folder = stack.enter_context(scratch.folder(counters.parent))
                copy_places(counters, folder / "places.db")
                copies[backup.PLACES] = folder / "places.db"
        yield copies


def _show(session: CliSession, file: Path, manifest: Manifest) -> None:
    size = sum(member.size for member in manifest.files.values())
    data = {
        "file": str(file),
        "version": manifest.version,
        "created_at": manifest.created_at,
        "schemas": manifest.schemas,
        "files": len(manifest.files),
        "bytes": size,
    }
    schemas = ", ".join(f"{line} {schema}" for line, schema in manifest.schemas.items())
    rows = {**data, "schemas": schemas}
    emit(session, data, facts((name.replace("_", " "), str(value)) for name, value in rows.items()))
