"""Putting a backup's files back where the settings say. The daemons must be stopped.

The archive is held against its manifest first, and its databases against this release's schemas; until
then nothing is touched. Then each part is unpacked beside its place and moved in; what was there is kept
beside it, with ``.before-<time>`` at the end of its name. Hosted images are only added: their names are made
from their content. Raises BackupError, OSError.
"""

from __future__ import annotations

import grp
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO

from gatepost_core import backup
from gatepost_core.backup import BackupError, Manifest, Part
from gatepost_core.store import migrate
from gatepost_core.store.engine import database_file


def fits(manifest: Manifest) -> None:
    """Raise BackupError for an archive of a newer release than this one."""
    for line in migrate.LINES:
        schema = manifest.schemas.get(line)
        if schema is not None and not migrate.knows(line, schema):
            raise BackupError(
                f"its {line} database has schema {schema}, of release {manifest.version}; this release "
                f"knows up to {migrate.head(line)}. Restore it with release {manifest.version} or a later one"
            )


@contextmanager
def unpacked(archive: IO[bytes], part: Part, beside: Path) -> Iterator[Path]:
    """Unpack a part into a folder beside ``beside``, as the user who runs, and remove what is left of it."""
    folder = beside.with_name(f".{beside.name}.restoring")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o750, parents=True)
    try:
        for info, source in backup.members(archive):
            if info.name.startswith(f"{part}/"):
                path = folder / info.name.partition("/")[2]
                path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
                with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
                    shutil.copyfileobj(source, target)
                    os.fchmod(target.fileno(), info.mode & 0o777)
                    target.flush()
                    os.fsync(target.fileno())
                if part == "etc":
                    _give(path, info.gname)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _give(path: Path, group: str) -> None:
    """Give a file to the group of that name that it had, if this host has it and we may."""
    with suppress(KeyError, PermissionError):
        os.chown(path, -1, grp.getgrnam(group).gr_gid)


def put_database(folder: Path, line: migrate.Line, url: str, now: datetime) -> list[Path]:
    """Move a database in, if the archive has it; return what was moved away. Raises BackupError."""
    unpacked_file, place = folder / f"{line}.db", database_file(url)
    if not unpacked_file.exists():
        return []
    try:
        with closing(sqlite3.connect(unpacked_file)) as connection:
            backup.check_database(connection)
    except sqlite3.Error as error:
        raise BackupError(f"{line} database of the backup: {error}; use another backup") from error
    away = [kept for suffix in ("", "-wal", "-shm") if (kept := _away(Path(f"{place}{suffix}"), now))]
    unpacked_file.chmod(0o640)
    unpacked_file.replace(place)
    return away


def put_folder(folder: Path, place: Path, now: datetime) -> list[Path]:
    """Move a whole folder in; return what was moved away."""
    if not any(folder.iterdir()):
        return []
    away = _away(place, now)
    folder.replace(place)
    return [away] if away else []


def put_files(folder: Path, place: Path, now: datetime, *, replace: bool) -> list[Path]:
    """Move files into a folder that keeps its others; return what was moved away.

    A file that is there already stays unless ``replace``, which moves it away if its content differs.
    """
    away = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        target = place / path.relative_to(folder)
        if target.exists() and (not replace or target.read_bytes() == path.read_bytes()):
            continue
        for missing in reversed([one for one in target.parents if not one.exists()]):
            missing.mkdir(mode=0o750)
            _give(missing, place.group())
        kept = _away(target, now)
        away += [kept] if kept else []
        path.replace(target)
    return away


def _away(place: Path, now: datetime) -> Path | None:
    """Rename what is at ``place``, if anything is, and return its new name."""
    if not place.exists():
        return None
    names = (
        f"{place.name}.before-{now:%Y%m%dT%H%M%S}{more}" for more in ("", *(f"-{n}" for n in range(2, 100)))
    )
    kept = next(free for name in names if not (free := place.with_name(name)).exists())
    place.rename(kept)
    return kept
