"""A file of this folder as it is used: opened when needed, mended when it is damaged or taken away.

Many threads and processes use one; a file that is damaged is set aside, and whoever comes next makes a new
one. One that ends without closing leaves log and index beside the file, which is what those who may only read
need.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

from gatepost_core.domain.errors import StoreUnavailable
from gatepost_core.domain.limits import CountersDamaged
from gatepost_core.store.sqlite.counts import counterfile

# Seconds for which another may have the file.
_LOOKING_PATIENCE: Final = 0.5
_PATIENCE: Final = 5.0
_P = ParamSpec("_P")
_T = TypeVar("_T")


class Opened:
    """Reads the file, without a right to change it. For many threads."""

    _patience = _LOOKING_PATIENCE

    def __init__(self, file: Path) -> None:
        self._file = file
        self._name = str(file)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._close()

    def _doing(
        self, act: Callable[Concatenate[sqlite3.Connection, _P], _T], *args: _P.args, **values: _P.kwargs
    ) -> tuple[_T, tuple[int, int] | None]:
        """Do something in the file; return what comes of it, and which file it was.

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


class Mended(Opened, ABC):
    """Writes the file, which is made if there is none. ``damaged`` hears where a damaged one has gone.

    ``form``: the number of what the tables are like. The release before's has one less, and gets what it
    lacks; a file with any other counts as damaged.
    """

    _patience = _PATIENCE
    # Before anything is done: does the file have the name still? Afterwards that is looked at in any case.
    _looks_first = True

    def __init__(
        self,
        file: Path,
        form: int,
        *,
        damaged: Callable[[str], object] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(file)
        self._form = form
        self._damaged = damaged
        self._clock = clock

    @abstractmethod
    def _made(self, connection: sqlite3.Connection) -> None:
        """Make the tables that a file lacks, and note its form there."""

    def _ready(self, connection: sqlite3.Connection) -> None:
        """Learn what is to be known of a file that was opened."""

    def _mending(
        self, act: Callable[Concatenate[sqlite3.Connection, _P], _T], *args: _P.args, **values: _P.kwargs
    ) -> _T:
        for _ in range(3):
            try:
                result, which = self._doing(act, *args, **values)
                if counterfile.identity(self._name) == which:
                    return result
                # Somebody set the file aside, before or meanwhile: what was done there is done anew.
            except CountersDamaged as error:
                self._set_aside(str(error))
            except OSError:
                pass  # no file just now
            self.close()
        raise StoreUnavailable(f"{self._file}: is replaced again and again")

    def _set_aside(self, why: str) -> None:
        aside = counterfile.set_aside(self._file, int(self._clock()), self._form)
        if aside is not None:
            self._damaged(f"{why}; kept as {aside}")

    def _open(self) -> sqlite3.Connection:
        if not self._file.exists():
            counterfile.create(self._file)
        connection = counterfile.connect(self._file, "rw")
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version in (0, self._form - 1):  # none yet, or what the release before made
                self._made(connection)
                version = self._form
            counterfile.check_format(version, self._form)
            connection.execute("PRAGMA synchronous = NORMAL")
            self._ready(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None and not self._looks_first:
            return self._connection
        try:
            return super()._connected()
        except FileNotFoundError:  # taken away while it was open
            self._close()
            return super()._connected()
