"""Backups: everything that a gateway cannot make again, in one archive.

A gzipped tar file, mode 0600, of databases (SQLite's backup API, so that it is one moment's state while
the daemons write), keys, hosted images, and the settings with ``secrets`` and ``tls`` beside them. Its last
member, ``manifest.json``, holds size and SHA-256 of every other one; an archive that was cut off has none.
Members are named ``<part>/<path>``; nothing else is in it.

Restoring is ``restore``'s business. Raises BackupError, OSError, StoreUnavailable.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import sqlite3
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Literal

from gatepost_core import __version__
from gatepost_core.settings import Settings
from gatepost_core.store import migrate
from gatepost_core.store.engine import database_file, unavailable

Part = Literal["databases", "keys", "images", "etc"]
PARTS: tuple[Part, ...] = ("databases", "keys", "images", "etc")
MANIFEST = "manifest.json"
_FORMAT = 1
_BLOCK = 1 << 20


class BackupError(Exception):
    """An archive is not what it should be, or may not be used here; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive: its size in bytes and its SHA-256 in hexadecimal."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive says about itself. ``schemas`` has each database's, ``files`` every member."""

    version: str
    created_at: str
    schemas: dict[str, str]
    files: dict[str, Member]

    def to_json(self) -> bytes:
        """Return it as it stands in the archive."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=1).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Manifest:
        """Read it. Raises BackupError."""
        try:
            data = json.loads(text)
            if data["format"] != _FORMAT:
                raise BackupError(f"format {data['format']}; this release reads format {_FORMAT}")
            files = {name: Member(**member) for name, member in data["files"].items()}
            return cls(data["version"], data["created_at"], data["schemas"], files)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BackupError(f"{MANIFEST} cannot be read: {error}") from error


class _Hashing(io.RawIOBase):
    """A file whose bytes are hashed while tarfile reads them."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        data = self._source.read(size)
        self.sha256.update(data)
        return data


def copy_database(url: str, target: Path) -> None:
    """Copy a database as it is at this moment to ``target``, and see that the copy is sound.

    Raises StoreUnavailable.
    """
    source_path = database_file(url)
    try:
        with (
            closing(sqlite3.connect(f"file:{source_path}?mode=rw", uri=True)) as source,
            closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            check_database(copy)
    except (sqlite3.Error, OSError) as error:
        raise unavailable(url, error) from error


def check_database(connection: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError for a database that is damaged."""
    (said,) = connection.execute("PRAGMA integrity_check").fetchone()
    if said != "ok":
        raise sqlite3.DatabaseError(f"damaged: {said}")


def databases(settings: Settings) -> dict[str, str]:
    """Return the member's name and the URL of each database."""
    return {f"databases/{line}.db": migrate.url_of(settings.store, line) for line in migrate.LINES}


def trees(settings: Settings, config: Path, parts: Sequence[Part] = PARTS) -> dict[str, Path]:
    """Return files and folders that are kept as they are, by their member's name or its beginning.

    ``config`` is the settings file. A daemon's spool is one entry more.
    """
    etc = [config, config.with_suffix(".d"), config.parent / "secrets", config.parent / "tls"]
    known = {
        "keys": settings.keys.directory,
        "images": settings.images.directory,
        **{f"etc/{path.name}": path for path in etc},
    }
    return {name: path for name, path in known.items() if name.partition("/")[0] in parts}


def create(
    target: Path, copies: dict[str, Path], kept: dict[str, Path], schemas: dict[str, str], now: datetime
) -> Manifest:
    """Write the archive: ``copies`` of databases by member's name, and the files of ``trees()``.

    It gets its name when it is complete and on disk. Raises OSError.
    """
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    files: dict[str, Member] = {}
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as raw:
            with tarfile.open(fileobj=raw, mode="w:gz", compresslevel=6) as archive:
                for name, path in [*copies.items(), *_files(kept)]:
                    files[name] = _add(archive, name, path)
                manifest = Manifest(__version__, now.isoformat(timespec="seconds"), schemas, files)
                _add_bytes(archive, MANIFEST, manifest.to_json(), now)
            raw.flush()
            os.fsync(raw.fileno())
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return manifest


def _files(kept: dict[str, Path]) -> Iterator[tuple[str, Path]]:
    """Yield member's name and path of every file.

    Symbolic links are followed in root's own folder of settings alone, where certificates may be links; in
    the daemons' folders they would have root read whatever the daemons' user points at.
    """
    for name, top in kept.items():
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and (name.startswith("etc/") or not path.is_symlink()):
                yield f"{name}/{path.relative_to(top)}".removesuffix("/."), path


def _add(archive: tarfile.TarFile, name: str, path: Path) -> Member:
    with path.open("rb") as source:
        info = archive.gettarinfo(arcname=name, fileobj=source)
        info.type, info.linkname = tarfile.REGTYPE, ""  # a second link to a file is a file as well
        info.size = os.fstat(source.fileno()).st_size
        hashing = _Hashing(source)
        archive.addfile(info, hashing)
    return Member(info.size, hashing.sha256.hexdigest())


def _add_bytes(archive: tarfile.TarFile, name: str, data: bytes, now: datetime) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(data), 0o600, int(now.timestamp())
    archive.addfile(info, io.BytesIO(data))


def verify(archive: IO[bytes]) -> Manifest:
    """Read the whole archive and hold every member against the manifest. Raises BackupError, OSError."""
    found: dict[str, Member] = {}
    manifest: Manifest | None = None
    with _readable(archive):
        for info, source in members(archive):
            if info.name == MANIFEST:
                manifest = Manifest.from_json(source.read())
            else:
                found[info.name] = _measured(source)
    if manifest is None:
        raise BackupError(f"{archive.name}: has no {MANIFEST}: it was cut off, or is no backup of Gatepost's")
    for name in sorted({*found, *manifest.files}):
        if found.get(name) != manifest.files.get(name):
            raise BackupError(f"{archive.name}: {name} is not what {MANIFEST} says: use another backup")
    return manifest


def _measured(source: IO[bytes]) -> Member:
    digest, size = hashlib.sha256(), 0
    while block := source.read(_BLOCK):
        digest.update(block)
        size += len(block)
    return Member(size, digest.hexdigest())


def members(archive: IO[bytes]) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """Yield each member with its content. Raises BackupError for what ``create`` never writes."""
    archive.seek(0)
    with _readable(archive), tarfile.open(fileobj=archive, mode="r:gz") as opened:
        for info in opened:
            source = opened.extractfile(info) if _plain(info) else None
            if source is None:
                raise BackupError(f"{archive.name}: holds {info.name!r}, which no backup of Gatepost's does")
            yield info, source
        while opened.fileobj.read(_BLOCK):
            pass  # to the end, whose checksum gzip holds it against


@contextmanager
def _readable(archive: IO[bytes]) -> Iterator[None]:
    """Turn what reading a damaged archive raises into BackupError."""
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BackupError(f"{archive.name}: is no backup, or is damaged: {error}") from error


def _plain(info: tarfile.TarInfo) -> bool:
    """Say whether a member is a file that stays below its part's folder."""
    part, _, rest = info.name.partition("/")
    steps = rest.split("/")
    below = part in PARTS and all(step not in ("", ".", "..") for step in steps)
    return info.isreg() and (below or info.name == MANIFEST)
