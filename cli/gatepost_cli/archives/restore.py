"""Putting a backup's files back where the settings say, all of them or none. The daemons must be stopped.

Everything is unpacked beside its place first and checked there: against the manifest, the databases against
this release's schemas, the keys, the settings. ``gatepost backup verify`` does just that, elsewhere. Then all
is renamed into place (``moves``); what was there is kept beside it, with ``.before-<time>`` at the end of its
name. Hosted images are only added: their names are made from their content.

Nothing is put outside the gateway's own folders: those that the settings of this host name, and all below the
default one. An archive's settings cannot add any. Raises BackupError, OSError.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from gatepost_cli.archives import spooled
from gatepost_cli.archives.archive import (
    BackupError,
    Manifest,
    Member,
    Part,
    measured,
    members,
    readable,
    shown,
)
from gatepost_cli.archives.moves import give
from gatepost_core.domain.images import is_name
from gatepost_core.settings import KeysSettings, Settings, SettingsError, load
from gatepost_core.store import StoreUnavailable, check_places, migrate
from gatepost_core.store.backend import DATABASES, Database
from gatepost_core.store.images import SALT
from gatepost_core.store.opening import open_backend

PLACES = "places.db"
_KEY_SIZE = 32  # as keyring makes them
_KEY = re.compile(r"[a-z]+-[a-z]\.key")
_ETC = re.compile(r"[^/]+\.toml|(?:[^/]+\.d|secrets|tls)/.+", re.DOTALL)


class Copies(Protocol):
    """What looks into copied databases: ``store.backend.Backend``."""

    def schema_of(self, copy: Path) -> str:
        """Return the schema of a copy. Raises StoreUnavailable for a damaged one."""
        ...


@dataclass(frozen=True, slots=True)
class Places:
    """Where a gateway's files are: keys, images, spool, the settings file, and each database's files.

    The first of these holds it; the others are what stands beside it. ``counters``: beside it is what is
    known of places that credentials send from.
    """

    databases: Mapping[Database, tuple[Path, ...]]
    keys: Path
    images: Path
    spool: Path
    counters: Path
    config: Path
    store: Copies

    @classmethod
    def of(cls, settings: Settings, config: Path) -> Places:
        """Return those that settings name."""
        backend = open_backend(settings.store)
        databases = {database: backend.files(database) for database in DATABASES}
        keys, images, spool = settings.keys, settings.images, settings.spool
        counters = settings.limits.counters
        return cls(databases, keys.directory, images.directory, spool.directory, counters, config, backend)

    def named(self) -> Iterator[tuple[str, Path]]:
        """Yield each place with the setting that names it."""
        yield from zip(
            ("store.url", "store.journal_url"), (files[0] for files in self.databases.values()), strict=True
        )
        yield from (("keys.directory", self.keys), ("images.directory", self.images))
        yield from (("spool.directory", self.spool), ("limits.counters", self.counters))


def fits(manifest: Manifest) -> None:
    """Raise BackupError for an archive of schemas that this release does not know, or that lacks a part."""
    for database in DATABASES:
        schema = manifest.schemas.get(database)
        if schema is None or f"databases/{database}.db" not in manifest.files:
            raise BackupError(f"it holds no {database} database: use another backup")
        if not migrate.knows(database, schema):
            raise BackupError(f"its {database} database {_stranger(database, schema, manifest.version)}")
    for name in manifest.files:
        part, _, rest = name.partition("/")
        if part == "etc" and not _ETC.fullmatch(rest):
            raise BackupError(f"it holds {shown(name)}, which no backup of Gatepost's does")
    spooled.check(manifest)


def _stranger(database: Database, schema: str, version: str) -> str:
    if migrate.older(database, schema):
        return (
            f"has schema {schema} of a version before the first release: restore it with commit "
            f"{migrate.LAST_BEFORE_RELEASE}, which brings it to a schema that this release knows"
        )
    return (
        f"has schema {schema}, of release {version}; this release knows up to {migrate.head(database)}. "
        f"Restore it with release {version} or a later one"
    )


def unpack(
    archive: IO[bytes], manifest: Manifest, part: Part, into: Path, groups: Collection[str] = ()
) -> None:
    """Unpack a part into a folder of ours, each file held against the manifest once more.

    A file goes to the group that it had, if that is one of ``groups``.
    """
    _room(manifest, part, into)
    with readable(archive):
        for info, source in members(archive):
            rest = info.name.removeprefix(f"{part}/")
            if rest != info.name and (part != "images" or _of_images(rest.rpartition("/")[2])):
                path = into / rest
                path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
                if _write(path, source, _mode(part, rest, info.mode)) != manifest.files.get(info.name):
                    raise BackupError(f"{archive.name}: {shown(info.name)} changed while it was read")
                if info.gname in groups:
                    give(path, info.gname)


def _write(path: Path, source: IO[bytes], mode: int) -> Member:
    """Write a new file, on disk when this returns; return what was written."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
        written = measured(source, target)
        os.fchmod(target.fileno(), mode)
        target.flush()
        os.fsync(target.fileno())
    return written


def _mode(part: Part, rest: str, mode: int) -> int:
    """Return the mode that a file gets: its own, opened no further than a gateway needs."""
    if part == "databases":
        return 0o640
    return 0o600 | mode & (0o644 if part == "etc" and not rest.startswith("secrets/") else 0o640)


def _of_images(name: str) -> bool:
    return is_name(name) or name == SALT


def _room(manifest: Manifest, part: Part, into: Path) -> None:
    needed = sum(file.size for name, file in manifest.files.items() if name.startswith(f"{part}/"))
    status = os.statvfs(into)
    if needed > (free := status.f_bavail * status.f_frsize):
        raise BackupError(f"{into.parent}: {needed} bytes are needed for {part}, {free} are free")


def check_databases(folder: Path, manifest: Manifest, store: Copies) -> None:
    """Raise BackupError unless both databases are sound and have the schemas that the manifest says."""
    for database in DATABASES:
        try:
            schema = store.schema_of(folder / f"{database}.db")
        except StoreUnavailable as error:
            raise BackupError(f"{database} database of the backup: {error}; use another backup") from error
        if schema != manifest.schemas[database]:
            why = f"has schema {schema}, not {manifest.schemas[database]}"
            raise BackupError(f"{database} database of the backup: {why}; use another backup")
    if (folder / PLACES).exists():
        try:
            check_places(folder / PLACES)
        except StoreUnavailable as error:
            raise BackupError(f"places of the backup: {error}; use another backup") from error


def check_keys(folder: Path) -> None:
    """Raise BackupError unless there are keys, all of them sound."""
    keys = sorted(folder.glob("*.key"))
    if not keys:
        raise BackupError("it holds no keys: use another backup")
    for path in keys:
        try:
            size = len(base64.b64decode(path.read_bytes().strip(), validate=True))
        except ValueError:
            size = 0
        if size != _KEY_SIZE:
            raise BackupError(f"keys/{shown(path.name)} of the backup is no key: use another backup")


def settings_of(folder: Path, config: Path, overrides: Mapping[str, str]) -> Settings:
    """Return the settings that an unpacked part ``etc`` holds, as if they were in place of ``config``.

    They get its name. Raises BackupError when there are none, or ones that this release cannot use.
    """
    files = sorted(folder.glob("*.toml"))
    own = next((path for path in files if path.name == config.name), files[0] if files else None)
    if own is None:
        raise BackupError("it holds no settings: restore without --settings")
    if own.with_suffix(".d").exists():
        own.with_suffix(".d").rename(folder / config.with_suffix(".d").name)
    named = own.rename(folder / config.name)

    def unpacked(path: Path) -> Path:
        inside = folder / path.relative_to(config.parent) if path.is_relative_to(config.parent) else path
        return inside if inside.exists() else path

    try:
        return load(named, overrides, placed=unpacked)
    except SettingsError as error:
        text = str(error).replace(str(folder), "etc")
        raise BackupError(f"its settings cannot be used: {text}") from error


def only_own(here: Places, there: Places) -> None:
    """Raise BackupError when ``there`` names a place that is none of the gateway's own of this host.

    A key directory is moved away as a whole, so it must not hold anything else.
    """
    default = KeysSettings().directory.parent
    for (setting, wanted), (_, known) in zip(there.named(), here.named(), strict=True):
        place = wanted.resolve()
        if place != known.resolve() and not place.is_relative_to(default.resolve()):
            raise BackupError(
                f"its settings have {setting} at {wanted}, which the settings of this host do not name. "
                f"If it is to be there, say so: gatepost --set {setting}=… backup restore --settings …"
            )
    if there.keys.exists():
        strange = [path for path in sorted(there.keys.iterdir()) if not _KEY.fullmatch(path.name)]
        if strange:
            raise BackupError(
                f"{there.keys} holds {shown(strange[0].name)}, which is no key of Gatepost's, and is not "
                "replaced: move that elsewhere, or name another keys.directory"
            )
