"""Places that credentials have sent from, in an SQLite file of their own: ``domain.rules.places.Seen``.

Beside the counters of limits, for the same reason: it is written with messages. What is in it is on disk when
a message is answered. A file that is damaged is set aside; of credentials that are older than the next one
nothing is known then, and what they send is held, as nobody could say that it is their first message.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from gatepost_core.domain.errors import StoreUnavailable
from gatepost_core.domain.rules.places import ADMITTED, Admitted, Known, Owner, Place
from gatepost_core.store.sqlite.counts import counterfile, placing
from gatepost_core.store.sqlite.counts.opened import Mended

_NAME: Final = "places.db"


class SqlitePlaces(Mended):
    """Keeps places. ``damaged`` hears where a file that was damaged has gone. For many threads."""

    def __init__(
        self,
        file: Path,
        *,
        damaged: Callable[[str], object] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(file, placing.FORM, damaged=damaged, clock=clock)
        self._lost = 0

    def admit(self, owner: Owner, places: Sequence[Place], message: str, now: int) -> Admitted:
        """Return which places are new, or note that they were used. Raises StoreUnavailable."""
        return self._mending(self._admit, owner, places, f"message {message}", now)

    def look(self, owner: Owner, places: Sequence[Place]) -> Admitted:
        """Return which places are new, and change nothing. Raises StoreUnavailable."""
        if not self._file.exists():  # none is made for this
            return ADMITTED
        return self._mending(self._look, owner, places)

    def teach(self, owner: Owner, places: Iterable[Place], by: str, now: int) -> Sequence[Place]:
        """Have places known; return those without room. Raises StoreUnavailable."""
        return self._mending(placing.teach, owner, tuple(places), by, now)

    def known(self, owner: Owner) -> Sequence[Known]:
        """Return what is known. Raises StoreUnavailable."""
        if not self._file.exists():
            return []
        return self._mending(placing.known, owner)

    def forget(self, owner: Owner, places: Iterable[Place] | None = None) -> int:
        """Forget some, or all. Raises StoreUnavailable."""
        if not self._file.exists():
            return 0
        return self._mending(placing.forget, owner, None if places is None else tuple(places))

    def owners(self, after: str, most: int) -> Sequence[Owner]:
        """Return owners by their keys. Raises StoreUnavailable."""
        if not self._file.exists():
            return []
        return self._mending(placing.owners, after, most)

    def prune(self, owner: Owner, unused_since: int) -> int:
        """Forget what was last used before. Raises StoreUnavailable."""
        return self._mending(placing.prune, owner, unused_since)

    def _admit(
        self, connection: sqlite3.Connection, owner: Owner, places: Sequence[Place], by: str, now: int
    ) -> Admitted:
        return placing.admit(connection, owner, places, by, now, self._lost)

    def _look(self, connection: sqlite3.Connection, owner: Owner, places: Sequence[Place]) -> Admitted:
        return placing.look(connection, owner, places, self._lost)

    def _made(self, connection: sqlite3.Connection) -> None:
        lost = any(self._file.parent.glob(f"{self._file.name}.damaged-*"))
        placing.make(connection, int(self._clock()), lost=lost)

    def _ready(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA synchronous = FULL")
        self._lost = placing.lost_before(connection)


def places_file(counters: Path) -> Path:
    """Return the file that is beside a file of counters."""
    return counters.with_name(_NAME)


def copy_places(counters: Path, target: Path) -> bool:
    """Write what is kept beside a file of counters to a file for a backup; False: there is nothing.

    Raises StoreUnavailable.
    """
    file = places_file(counters)
    if not file.exists():
        return False
    try:
        with closing(counterfile.connect(file, "rw")) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
    except (sqlite3.Error, OSError) as error:
        raise StoreUnavailable(f"{file}: {error}") from error
    check_places(target)
    return True


def check_places(copy: Path) -> None:
    """Raise StoreUnavailable for a copy that is damaged, or of another release's form."""
    try:
        with closing(counterfile.connect(copy, "ro")) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            counterfile.check_format(version, placing.FORM)
            (said,) = connection.execute("PRAGMA integrity_check").fetchone()
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{copy.name}: {error}") from error
    if said != "ok":
        raise StoreUnavailable(f"{copy.name}: damaged: {said}")


def open_places(counters: Path, *, damaged: Callable[[str], object] = lambda _: None) -> SqlitePlaces:
    """Return what keeps places beside a file of counters. Nothing is opened before it is used."""
    return SqlitePlaces(places_file(counters), damaged=damaged)
