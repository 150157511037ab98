"""Counters of limits in an SQLite file of its own: see ``domain.limits.counters``, whose protocol it is.

A file of its own because every message writes to it, and ``synchronous = NORMAL`` because what a power cut
takes back is a few of the last messages. One transaction takes from all windows of a message or from none. A
file that is damaged is set aside, and whoever comes next counts anew from the journal (``recounting``): each
counter that reaches back to before the file was made is filled when it is first wanted. Many threads and
processes may count; one that ends without closing leaves log and index beside the file, which is what those
who may only read need.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

from gatepost_core.domain import ids
from gatepost_core.domain.errors import StoreUnavailable
from gatepost_core.domain.limits import Bucket, CountersDamaged, Reset, Want
from gatepost_core.domain.memo import Recent
from gatepost_core.store.sqlite.counts import counterfile, counting
from gatepost_core.store.sqlite.counts.recounting import Recounting

# Seconds for which another may have the file.
_LOOKING_PATIENCE: Final = 0.5
_PATIENCE: Final = 5.0
# A message's take is known for so long.
TAKES_SECONDS: Final = 2 * 86_400
_P = ParamSpec("_P")
_T = TypeVar("_T")
# Returns the buckets of a counter as the journal has them.
Recount = Callable[[Want], list[Bucket]]


class SqliteLooking:
    """Reads the counters, without a right to change them. For many threads."""

    _patience = _LOOKING_PATIENCE

    def __init__(self, file: Path) -> None:
        self._file = file
        self._name = str(file)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    def look(self, wants: Sequence[Want]) -> list[list[Bucket]]:
        """Return of each counter its buckets that count, oldest first. Raises StoreUnavailable."""
        return self._doing(counting.buckets, wants)[0] if wants else []

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._close()

    def _doing(
        self, act: Callable[Concatenate[sqlite3.Connection, _P], _T], *args: _P.args, **values: _P.kwargs
    ) -> tuple[_T, tuple[int, int] | None]:
        """Do something in the file that has the name now; return what comes of it, and which file it was.

        Whatever goes wrong closes it and is StoreUnavailable.
        """
        with self._lock:
            try:
                return self._patiently(act, *args, **values), self._identity
            except (sqlite3.Error, OSError) as error:
                self._close()
                damaged = getattr(error, "sqlite_errorcode", 0) & 0xFF in counterfile.DAMAGE
                raise (CountersDamaged if damaged else StoreUnavailable)(f"{self._file}: {error}") from error
            except BaseException:
                self._close()
                raise

    def _patiently(
        self, act: Callable[Concatenate[sqlite3.Connection, _P], _T], *args: _P.args, **values: _P.kwargs
    ) -> _T:
        """Do it again while another has the file, up to some seconds. Raises sqlite3.Error, OSError."""
        until = 0.0
        while True:
            try:
                return act(self._connected(), *args, **values)
            except sqlite3.OperationalError as error:
                now = time.monotonic()
                until = until or now + self._patience
                if not counterfile.busy(error) or now >= until:
                    raise

    def _connected(self) -> sqlite3.Connection:
        connection = self._connection
        if connection is None or counterfile.identity(self._name) != self._identity:
            self._close()
            connection = self._connection = self._open()
            self._identity = counterfile.identity(self._name)
        return connection

    def _open(self) -> sqlite3.Connection:
        return counterfile.connect(self._file, "ro")

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class SqliteCounters(SqliteLooking):
    """Counts. ``recount`` reads the journal, ``damaged`` hears where a file that was damaged has gone."""

    _patience = _PATIENCE

    def __init__(
        self,
        file: Path,
        recount: Recount,
        *,
        damaged: Callable[[str], object] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(file)
        self._recount = recount
        self._damaged = damaged
        self._clock = clock
        self._made_at = 0
        self._filled: Recent[tuple[str, int], bool] = Recent(5_000)

    def look(self, wants: Sequence[Want]) -> list[list[Bucket]]:
        """Return of each counter its buckets that count. Raises StoreUnavailable."""
        return self._mending(self._look, wants) if wants else []

    def take(self, message_id: str, wants: Sequence[Want]) -> list[int] | None:
        """Take all or nothing. Raises StoreUnavailable."""
        return self._mending(self._take, ids.to_bytes(message_id), wants) if wants else []

    def give_back(self, message_id: str) -> bool:
        """Undo a take. Raises StoreUnavailable."""
        return self._mending(counting.give_back, ids.to_bytes(message_id))

    def reset(self, key: str, by: str) -> int:
        """Set counters to 0. Raises StoreUnavailable."""
        return self._mending(counting.reset, key, by, int(self._clock()))

    def resets(self, key: str) -> list[Reset]:
        """Return who did so. Raises StoreUnavailable."""
        return self._mending(counting.resets, key)

    def keep(self) -> None:
        """Have the file open, made if there is none, and forget what is over. Raises StoreUnavailable."""
        now = int(self._clock())
        self._mending(counting.sweep, now, ids.to_bytes(ids.new((now - TAKES_SECONDS) * 1000)))

    def _mending(
        self, act: Callable[Concatenate[sqlite3.Connection, _P], _T], *args: _P.args, **values: _P.kwargs
    ) -> _T:
        for _ in range(3):
            try:
                result, which = self._doing(act, *args, **values)
                if counterfile.identity(self._name) == which:
                    return result
                # Somebody set the file aside meanwhile: what was counted there is counted anew.
            except CountersDamaged as error:
                self._set_aside(str(error))
            except OSError:
                continue  # no file just now
        raise StoreUnavailable(f"{self._file}: is replaced again and again")

    def _set_aside(self, why: str) -> None:
        aside = counterfile.set_aside(self._file, int(self._clock()))
        if aside is not None:
            self._damaged(f"{why}; kept as {aside}")

    def _look(self, connection: sqlite3.Connection, wants: Sequence[Want]) -> list[list[Bucket]]:
        self._fill(connection, wants)
        return counting.buckets(connection, wants)

    def _take(self, connection: sqlite3.Connection, number: bytes, wants: Sequence[Want]) -> list[int] | None:
        self._fill(connection, wants)
        return counting.take(connection, number, wants)

    def _fill(self, connection: sqlite3.Connection, wants: Sequence[Want]) -> None:
        """Have what the journal knows in counters that reach back to before the file was made."""
        for want in wants:
            if want.first >= self._made_at:
                continue
            known = want.key, want.start if want.first == want.start else 0
            if not self._filled.get(known):
                if not counting.buckets(connection, [want])[0]:
                    counting.fill(connection, want, self._recount(want) or [Bucket(want.start, 0)])
                self._filled.put(known, True)

    def _open(self) -> sqlite3.Connection:
        if not self._file.exists():
            counterfile.create(self._file)
        connection = counterfile.connect(self._file, "rw")
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                counting.make(connection, int(self._clock()))
                version = counterfile.FORMAT
            counterfile.check_format(version)
            connection.execute("PRAGMA synchronous = NORMAL")
            self._made_at = counting.made_at(connection)
        except BaseException:
            connection.close()
            raise
        self._filled.clear()
        return connection

    def _connected(self) -> sqlite3.Connection:
        try:
            return super()._connected()
        except FileNotFoundError:  # taken away while it was open
            self._close()
            return super()._connected()


def open_counters(
    file: Path, journal: str, *, damaged: Callable[[str], object] = lambda _: None
) -> SqliteCounters:
    """Return what counts in a file. ``journal``: the database's URL. Nothing is opened before it is used."""
    return SqliteCounters(file, Recounting(journal), damaged=damaged)
