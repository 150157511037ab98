"""Has a database open, so that it can be read by those who may write neither it nor its folder.

In WAL mode a reader needs the index beside the database (-shm), which is there while somebody who may write
has the database open; without it, it cannot be made by who may not write
(https://www.sqlite.org/wal.html#readonly). The files stay when the process ends without closing, as workers
do: so readers go on without whoever kept it open, and after a crash too.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress

from gatepost_core.store.sqlite.driver import FAULTS, connect, unavailable
from gatepost_core.store.sqlite.locate import file_identity

# Waiting is for those who have something to write; here it is tried again.
_PATIENCE = 0.05


class KeptOpen:
    """For one thread. Nothing is open before the first ``keep``."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    def keep(self) -> str:
        """Have the file open that has the name now; return why it cannot be had open, else ''."""
        try:
            identity = file_identity(self._url)
            if identity != self._identity:
                self._open()
                self._identity = identity
        except FAULTS as error:
            self._identity = None
            return str(unavailable(self._url, error))
        return ""

    def settle(self) -> None:
        """Have in the file itself what is only in its log, unless somebody hinders it: files get copied."""
        if self._connection is not None:
            with suppress(*FAULTS):
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def close(self) -> None:
        """Have nothing open any more; the next ``keep`` opens it again."""
        connection, self._connection, self._identity = self._connection, None, None
        if connection is not None:
            connection.close()

    def _open(self) -> None:
        """Open the file, and let go of the one before: that one has no name any more."""
        before, self._connection = self._connection, None
        if before is not None:
            before.close()
        connection = connect(self._url, patience=_PATIENCE)
        try:
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()  # makes log and index
        except BaseException:
            connection.close()
            raise
        self._connection = connection
