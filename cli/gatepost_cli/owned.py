"""The store, worked with as its owner: root leaves no file of his among the daemons' (``owner``)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gatepost_cli.owner import as_owner_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gatepost_core.store import Reader
    from gatepost_core.store.backend import Backend, Begin, Database


class OwnedStore:
    """What ``store.backend.Backend`` offers to commands, each call as the owner of its home."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @property
    def home(self) -> Path:
        """The folder of this host whose owner works with the store."""
        return self._backend.home

    def where(self, database: Database) -> str:
        """Return for people where a database is."""
        return self._backend.where(database)

    def files(self, database: Database) -> tuple[Path, ...]:
        """Return the files of this host that a database consists of, there or not; the first holds it."""
        return self._backend.files(database)

    def file(self, database: Database) -> Path | None:
        """Return the file of this host that holds a database, there or not; None where none does."""
        return next(iter(self.files(database)), None)

    @contextmanager
    def directory(self, *, write: bool = False) -> Iterator[Connection]:
        """Open accounts, credentials and domains; ``write`` commits at the end. Raises StoreUnavailable."""
        with as_owner_of(self._place("directory")), self._backend.directory(write=write) as connection:
            yield connection

    @contextmanager
    def journal(self, *, write: bool = False) -> Iterator[Connection]:
        """Open messages, events and last use; ``write`` commits at the end. Raises StoreUnavailable."""
        with as_owner_of(self._place("journal")), self._backend.journal(write=write) as connection:
            yield connection

    @contextmanager
    def transactions(self) -> Iterator[Begin]:
        """Open the journal for many short transactions. Raises StoreUnavailable."""
        with as_owner_of(self._place("journal")), self._backend.transactions() as begin:
            yield begin

    def reader(self) -> Reader:
        """Return the daemons' own view of the directory, open. Raises StoreUnavailable."""
        reader = self._backend.reader()
        try:
            with as_owner_of(self._place("directory")):
                reader.credential("")  # the connection is made now, and kept
        except BaseException:
            reader.close()
            raise
        return reader

    def revision(self, database: Database) -> str | None:
        """Return the schema that a database has, None when there is none. Raises StoreUnavailable."""
        with as_owner_of(self._place(database)):
            return self._backend.revision(database)

    def upgrade(self, database: Database) -> tuple[str | None, str | None]:
        """Make or upgrade a database; return its schema before and after. Raises StoreUnavailable."""
        with as_owner_of(self._place(database)):
            return self._backend.upgrade(database)

    def downgrade(self, database: Database, target: str) -> tuple[str, str]:
        """Take a database back; return its schema before and after: see ``Backend``."""
        with as_owner_of(self._place(database)):
            return self._backend.downgrade(database, target)

    def copy(self, database: Database, target: Path) -> None:
        """Write a database, as it is at one moment, to a file. Raises StoreUnavailable."""
        with as_owner_of(self._place(database)):
            self._backend.copy(database, target)

    def schema_of(self, copy: Path) -> str:
        """Return the schema of a database that ``copy`` wrote. Raises StoreUnavailable for a damaged one."""
        return self._backend.schema_of(copy)

    def finished_in(self, copy: Path) -> set[bytes]:
        """Return the spool's segments that a copied journal has all of. Raises StoreUnavailable."""
        return self._backend.finished_in(copy)

    def _place(self, database: Database) -> Path:
        file = self.file(database)
        return self.home if file is None else file.parent
