"""Country and network of a client's address, from MaxMind DB files that the operator has.

A file is read into memory as a whole: whoever writes over it in place, as a plain copy does, changes nothing
that is looked at meanwhile. It is looked for at each question, and read anew when another one is there. While
that one cannot be read, what was read before counts. Without any, StoreUnavailable: nothing passes that
nobody could look at.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from gatepost_core.domain.errors import StoreUnavailable
from gatepost_core.domain.memo import Recent
from gatepost_core.domain.rules.places import UNKNOWN, Kind, Place, named, normal_address
from gatepost_core.serving import log

if TYPE_CHECKING:
    from maxminddb import Reader

# What a file of each kind calls itself (its metadata's database_type). One that says nothing of all this is
# taken at the operator's word: other makers have names of their own.
_KINDS: Final[Mapping[str, tuple[Kind, ...]]] = {
    "country": (Kind.COUNTRY,),
    "city": (Kind.COUNTRY,),
    "location": (Kind.COUNTRY,),
    "enterprise": (Kind.COUNTRY, Kind.NETWORK),
    "asn": (Kind.NETWORK,),
    "isp": (Kind.NETWORK,),
}
_ADDRESSES_MOST: Final = 5_000
# Until a file that could not be read is tried again; between two looks at files that nobody asks about.
_AGAIN: Final = 1.0
_LOOK_SECONDS: Final = 1.0
_Identity = tuple[int, int, int, int]


class Database(NamedTuple):
    """A file that was read: what it calls itself, and when it was made."""

    reader: Reader
    type: str
    built_at: datetime


def read(file: str, kind: Kind) -> Database:
    """Return a file that tells places of a kind. Raises StoreUnavailable, which names setting and file."""
    import maxminddb  # noqa: PLC0415 - who has no such file loads nothing

    if not file:
        raise StoreUnavailable(
            f"hold.{kind.value}_database is not set: nothing tells a client's {kind.value}"
        )
    where = f"hold.{kind.value}_database = {file}"
    try:
        regular = stat.S_ISREG(Path(file).stat().st_mode)  # else it may never end
        reader = maxminddb.open_database(file if regular else os.devnull, maxminddb.MODE_MEMORY)
        metadata = reader.metadata()
        type_, built_at = str(metadata.database_type), datetime.fromtimestamp(metadata.build_epoch, UTC)
        reader.get("192.0.2.1")
    except OSError as error:
        raise StoreUnavailable(f"{where}: {error.strerror or error}") from error
    except Exception as error:  # whatever a damaged file leads to
        raise StoreUnavailable(f"{where}: is no MaxMind DB file, or is damaged: {error}") from error
    tells = {one for word, kinds in _KINDS.items() if word in type_.lower() for one in kinds}
    if tells and kind not in tells:
        other = " and ".join(sorted(tells))
        raise StoreUnavailable(f"{where}: is a file of type {type_}, which tells {other}, not {kind.value}")
    return Database(reader, type_, built_at)


def check(files: Mapping[str, str]) -> None:
    """Raise StoreUnavailable for a file that is set and cannot be used."""
    for kind, file in files.items():
        if file:
            read(file, Kind(kind))


class Locator:
    """Tells places by the files of the settings, each read when it is first asked for. For many threads."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._ended = threading.Event()
        self._files = {Kind(kind): _File(file, Kind(kind)) for kind, file in files.items()}

    def __call__(self, kind: Kind, address: str | None) -> Place:
        """Return where an address is. Raises StoreUnavailable."""
        file = self._files[kind]
        return Place(kind, file.name_of(address or ""))

    def begin(self) -> None:
        """Read new files also while nobody asks, from now on, in a thread: else what counts may be old."""
        if any(file.is_set for file in self._files.values()):
            threading.Thread(target=self._keep, name="places", daemon=True).start()

    def end(self) -> None:
        """Do so no longer."""
        self._ended.set()

    def _keep(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            self.warm()

    def warm(self) -> list[str]:
        """Read the files, for processes that are forked after it; return why some cannot be."""
        faults = []
        for file in self._files.values():
            if file.is_set:
                try:
                    file.name_of("192.0.2.1")
                except StoreUnavailable as error:
                    faults.append(str(error))
        return faults


class _File:
    """One file, read anew when it is another one."""

    def __init__(self, file: str, kind: Kind) -> None:
        self.is_set = bool(file)
        self._file = file
        self._kind = kind
        self._lock = threading.Lock()
        self._database: Database | None = None
        self._identity: _Identity | None = None
        self._names: Recent[str, str] = Recent(_ADDRESSES_MOST)
        self._fault = ""
        self._again_at = 0.0

    def name_of(self, text: str) -> str:
        """Return the name of the place that an address is in. Raises StoreUnavailable."""
        if not self._file:
            read(self._file, self._kind)  # which says so
        try:
            identity = _identity(self._file)
        except OSError as error:
            self._stale(f"hold.{self._kind.value}_database = {self._file}: {error.strerror or error}")
        else:
            if identity != self._identity:
                self._read(identity)
        names, database = self._names, self._database
        name = names.get(text)
        if name is None and database is not None:
            name = self._looked_up(database, text)
            names.put(text, name)
        if name is None:
            raise StoreUnavailable(self._fault)
        return name

    def _looked_up(self, database: Database, text: str) -> str:
        address = normal_address(text)
        if address is None:
            return UNKNOWN
        try:
            record = database.reader.get(address)
        except ValueError as error:
            if address.version == 4 or "IPv6" not in str(error):
                raise self._damaged(error) from error
            record = None  # a file of IPv4 alone
        except Exception as error:
            raise self._damaged(error) from error
        return named(self._kind, record, address)

    def _damaged(self, error: Exception) -> StoreUnavailable:
        return StoreUnavailable(f"hold.{self._kind.value}_database = {self._file}: is damaged: {error}")

    def _read(self, identity: _Identity) -> None:
        """Read the file that is there now, unless that failed a moment ago."""
        with self._lock:
            if identity == self._identity or time.monotonic() < self._again_at:
                return
            try:
                database = read(self._file, self._kind)
            except StoreUnavailable as error:
                self._again_at = time.monotonic() + _AGAIN
                self._stale(str(error))
                return
            self._names = Recent(_ADDRESSES_MOST)
            self._database, self._identity, self._fault = database, identity, ""
            log.info(
                "places are told by", file=self._file, type=database.type, of=str(database.built_at.date())
            )

    def _stale(self, fault: str) -> None:
        """Note why the file cannot be read, once. What was read before counts."""
        if fault != self._fault:
            self._fault = fault
            log.warning(
                "a database of places cannot be read; "
                + ("what was read before counts" if self._database else "messages that need it get 451"),
                error=fault,
            )


def _identity(file: str) -> _Identity:
    status = os.stat(file)  # noqa: PTH116 - a path's own way takes three times as long, with each message
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
