"""The archive that a backup is: what stands in it, and reading one that somebody else may have made.

A gzipped tar file of members ``<part>/<path>``; the last, ``manifest.json``, holds size and SHA-256 of every
other one, so that an archive that was cut off has none. Anything that ``backup.create`` never writes is
refused before it is used: links, devices, sparse files, paths that leave their part, a name twice, a file
below a file. No header's claim is believed for memory: nothing is read in larger pieces than ``_PIECE``.
Raises BackupError, OSError.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import IO, Any, Literal, cast

Part = Literal["databases", "keys", "images", "etc", "spool"]
PARTS: tuple[Part, ...] = ("databases", "keys", "images", "etc", "spool")
MANIFEST = "manifest.json"
_FORMAT = 1
_BLOCK = 1 << 20
_PIECE = 4 << 20  # what members are read in, and more than any header of ours has
_MANIFEST_MOST = 256 << 20  # a million images
_MEMBERS_MOST = 2_000_000
_NAME_MOST, _PATH_MOST = 255, 1_000  # bytes: what a file system takes


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
            schemas = {line: str(schema) for line, schema in data["schemas"].items()}
            return cls(str(data["version"]), str(data["created_at"]), schemas, files)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise BackupError(f"{MANIFEST} cannot be read: {error}") from error


def verify(archive: IO[bytes]) -> Manifest:
    """Read the whole archive and hold every member against the manifest. Raises BackupError, OSError."""
    found: dict[str, Member] = {}
    manifest: Manifest | None = None
    with readable(archive):
        for info, source in members(archive):
            if info.name != MANIFEST:
                found[info.name] = measured(source)
                continue
            if info.size > _MANIFEST_MOST:
                raise BackupError(f"{archive.name}: {MANIFEST} has more than {_MANIFEST_MOST} bytes")
            manifest = Manifest.from_json(b"".join(_blocks(source)))
    if manifest is None:
        raise BackupError(f"{archive.name}: has no {MANIFEST}: it was cut off, or is no backup of Gatepost's")
    for name in sorted({*found, *manifest.files}):
        if found.get(name) != manifest.files.get(name):
            raise BackupError(
                f"{archive.name}: {shown(name)} is not what {MANIFEST} says: use another backup"
            )
    return manifest


def measured(source: IO[bytes], target: IO[bytes] | None = None) -> Member:
    """Return what a file is, read to its end, and write it to ``target`` if that is given."""
    digest, size = hashlib.sha256(), 0
    for block in _blocks(source):
        digest.update(block)
        size += len(block)
        if target is not None:
            target.write(block)
    return Member(size, digest.hexdigest())


def _blocks(source: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: source.read(_BLOCK), b"")


def members(archive: IO[bytes]) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """Yield each member with its content. Raises BackupError for what ``create`` never writes."""
    archive.seek(0)
    files: set[str] = set()
    folders: set[str] = set()
    with readable(archive), gzip.GzipFile(fileobj=archive, mode="rb") as unzipped:
        careful = cast(IO[bytes], _Careful(unzipped, archive.name))
        with tarfile.open(fileobj=careful, mode="r:") as opened:
            while (info := opened.next()) is not None:
                opened.members.clear()  # type: ignore[attr-defined, unused-ignore]  # it would keep all of them
                if len(files) >= _MEMBERS_MOST:
                    raise BackupError(f"{archive.name}: holds more than {_MEMBERS_MOST} files")
                _check(archive.name, info, files, folders)
                source = opened.extractfile(info)
                assert source is not None  # noqa: S101 - it is a regular file
                yield info, source
        while unzipped.read(_BLOCK):
            pass  # to the end, whose checksum gzip holds it against


class _Careful:
    """A file that gives no piece larger than ``_PIECE``: tarfile reads what a header claims as one."""

    def __init__(self, source: gzip.GzipFile, name: str) -> None:
        self._source = source
        self._name = name

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes. Raises BackupError."""
        if not 0 <= size <= _PIECE:
            raise BackupError(
                f"{self._name}: has a header of {size} bytes, which no backup of Gatepost's has"
            )
        return self._source.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place."""
        return self._source.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._source.tell()


@contextmanager
def readable(archive: IO[bytes]) -> Iterator[None]:
    """Turn what reading a damaged archive raises into BackupError."""
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError, OverflowError) as error:
        raise BackupError(f"{archive.name}: is no backup, or is damaged: {error}") from error


def _check(archive: str, info: tarfile.TarInfo, files: set[str], folders: set[str]) -> None:
    """Refuse what is no file that stays below its part's folder, or is in the way of another."""
    if not _plain(info):
        raise BackupError(f"{archive}: holds {shown(info.name)}, which no backup of Gatepost's does")
    steps = info.name.split("/")
    above = {"/".join(steps[:count]) for count in range(1, len(steps))}
    if info.name in files or info.name in folders or above & files:
        raise BackupError(f"{archive}: holds {shown(info.name)} twice, or as a file and as a folder")
    files.add(info.name)
    folders |= above


def _plain(info: tarfile.TarInfo) -> bool:
    part, _, rest = info.name.partition("/")
    name = info.name.encode("utf-8", "surrogateescape")
    steps = rest.split("/")
    below = part in PARTS and all(
        step not in ("", ".", "..") and len(step.encode("utf-8", "surrogateescape")) <= _NAME_MOST
        for step in steps
    )
    regular = info.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not info.issparse() and info.size >= 0
    return regular and b"\0" not in name and len(name) <= _PATH_MOST and (below or info.name == MANIFEST)


def shown(name: Any) -> str:
    """Return a member's name as it may be printed."""
    return str(name) if str(name).isprintable() else ascii(name)
