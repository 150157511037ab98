"""Backups: everything that a gateway cannot make again, in one archive.

A gzipped tar file (``archive``), mode 0600, of databases (SQLite's backup API, so that it is one moment's
state while the daemons write), keys, hosted images, settings with ``secrets`` and ``tls`` beside them, and
the spool (``spooled``), which is copied after the databases: what was accepted is in the one or the other.

Restoring is ``restore``'s business. Raises BackupError, OSError, StoreUnavailable.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO

from gatepost_cli.archives.archive import MANIFEST, PARTS, BackupError, Manifest, Member, Part, verify
from gatepost_core import __version__
from gatepost_core.serving import scratch
from gatepost_core.settings import Settings
from gatepost_core.store.backend import DATABASES, Database

JOURNAL = "databases/journal.db"
PLACES = "databases/places.db"
__all__ = [
    "JOURNAL",
    "PARTS",
    "PLACES",
    "BackupError",
    "Manifest",
    "Member",
    "Part",
    "create",
    "databases",
    "trees",
    "verify",
]


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


def databases() -> dict[str, Database]:
    """Return each database by its member's name."""
    return {f"databases/{database}.db": database for database in DATABASES}


def trees(settings: Settings, config: Path, parts: Sequence[Part] = PARTS) -> dict[str, Path]:
    """Return files and folders that are kept as they are, by their member's name or its beginning.

    ``config`` is the settings file.
    """
    etc = [config, config.with_suffix(".d"), config.parent / "secrets", config.parent / "tls"]
    known = {
        "keys": settings.keys.directory,
        "images": settings.images.directory,
        **{f"etc/{path.name}": path for path in etc},
    }
    return {name: path for name, path in known.items() if name.partition("/")[0] in parts}


def create(
    target: Path,
    copies: dict[str, Path],
    kept: dict[str, Path],
    schemas: dict[str, str],
    now: datetime,
    spooled: Iterable[tuple[str, Path, int]] = (),
) -> Manifest:
    """Write the archive: ``copies`` of databases by member's name, and the files of ``trees()``.

    ``spooled``: the spool's files by member's name, and how many of their first bytes are kept.

    It gets its name when it is complete and on disk; of one that was killed nothing is left once the next is
    made. Raises OSError.
    """
    files: dict[str, Member] = {}
    with scratch.file(target) as descriptor, os.fdopen(os.dup(descriptor), "wb") as raw:
        with tarfile.open(fileobj=raw, mode="w:gz", compresslevel=6) as archive:
            for name, path in copies.items():
                files[name] = _add(archive, name, path)
            for name, path in _files(kept):
                with suppress(FileNotFoundError):  # an image that went meanwhile
                    files[name] = _add(archive, name, path, follow=name.startswith("etc/"))
            for name, path, size in spooled:
                files[name] = _add(archive, name, path, size=size)
            manifest = Manifest(__version__, now.isoformat(timespec="seconds"), schemas, files)
            _add_bytes(archive, MANIFEST, manifest.to_json(), now)
        raw.flush()
    return manifest


def _files(kept: dict[str, Path]) -> Iterator[tuple[str, Path]]:
    """Yield member's name and path of every file but those that are only worked in.

    Symbolic links are followed in root's own folder of settings alone, where certificates may be links; in
    the daemons' folders they would have root read whatever the daemons' user points at.
    """
    for name, top in kept.items():
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            below = path.relative_to(top)
            if any(step.startswith(".") for step in below.parts):
                continue
            if path.is_file() and (name.startswith("etc/") or not path.is_symlink()):
                yield f"{name}/{below}".removesuffix("/."), path


def _add(
    archive: tarfile.TarFile, name: str, path: Path, *, follow: bool = False, size: int | None = None
) -> Member:
    # The daemons' user may put a link, or what blocks, in a file's place at any time.
    flags = os.O_RDONLY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(os.open(path, flags), "rb") as source:
        if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
            raise OSError(f"{path}: is no file any more")
        info = archive.gettarinfo(arcname=name, fileobj=source)
        info.type, info.linkname = tarfile.REGTYPE, ""  # a second link to a file is a file as well
        info.size = os.fstat(source.fileno()).st_size if size is None else size
        hashing = _Hashing(source)
        archive.addfile(info, hashing)
    return Member(info.size, hashing.sha256.hexdigest())


def _add_bytes(archive: tarfile.TarFile, name: str, data: bytes, now: datetime) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(data), 0o600, int(now.timestamp())
    archive.addfile(info, io.BytesIO(data))
