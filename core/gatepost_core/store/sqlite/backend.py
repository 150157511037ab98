"""A store in SQLite files: see ``store.backend``, whose protocol it is.

SQLAlchemy and Alembic are loaded when they are first needed: gatepost-events does without them mostly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from gatepost_core.domain.errors import StoreUnavailable
from gatepost_core.domain.limits import Counters
from gatepost_core.domain.limits.suspending import Thresholds
from gatepost_core.domain.suppressing import Reason, Terms
from gatepost_core.settings import StoreSettings
from gatepost_core.store.backend import Begin, Database
from gatepost_core.store.sqlite import copies
from gatepost_core.store.sqlite.counts.fates import SqliteFates
from gatepost_core.store.sqlite.counts.returning import Returning
from gatepost_core.store.sqlite.holding.forwarding import Forwarder
from gatepost_core.store.sqlite.holding.orders import Holder
from gatepost_core.store.sqlite.ingesting import Ingester
from gatepost_core.store.sqlite.keeping import has_webhooks, keeps_for_good
from gatepost_core.store.sqlite.kept_open import KeptOpen
from gatepost_core.store.sqlite.locate import database_file, home, url_of
from gatepost_core.store.sqlite.reader import Reader
from gatepost_core.store.sqlite.suppressing import Suppressor
from gatepost_core.store.sqlite.suspending.suspender import Suspender

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


# What SQLite keeps beside a database.
_BESIDE = ("-wal", "-shm")


class SqliteBackend:
    """Two databases, each a file."""

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings

    @contextmanager
    def directory(self, *, write: bool = False) -> Iterator[Connection]:
        """Open the directory."""
        with self._connection("directory", write=write) as connection:
            yield connection

    @contextmanager
    def journal(self, *, write: bool = False) -> Iterator[Connection]:
        """Open the journal."""
        with self._connection("journal", write=write) as connection:
            yield connection

    @contextmanager
    def transactions(self) -> Iterator[Begin]:
        """Open the journal for many short transactions."""
        with self._engine("journal", reading=False) as engine:
            yield engine.begin

    def reader(self) -> Reader:
        """Return a reader of the directory."""
        return Reader(self._settings.url)

    def ingester(self, node: str) -> Ingester:
        """Return a node's way into the journal."""
        return Ingester(self._settings.journal, node, synchronous=self._settings.synchronous)

    def returner(self, node: str, counters: Counters) -> Returning:
        """Return what follows a node's events for the counters of limits."""
        return Returning(self._settings.journal, node, counters)

    def fates(self) -> SqliteFates:
        """Return what reads what became of accepted messages."""
        return SqliteFates(self._settings.journal)

    def holder(self, node: str) -> Holder:
        """Return a node's orders about held messages."""
        return Holder(self._settings.journal, node, self.ingester(node))

    def forwarder(self, node: str) -> Forwarder:
        """Return a node's reports that are to be forwarded."""
        return Forwarder(self._settings.journal, node)

    def suppressor(self, oldest: timedelta, ends: Mapping[str, timedelta]) -> Suppressor:
        """Return what follows the events."""
        terms = Terms(oldest, {Reason(name): end for name, end in ends.items()})
        return Suppressor(self._settings.url, self._settings.journal, terms)

    def suspender(self, node: str, thresholds: Thresholds) -> Suspender:
        """Return what warns and suspends credentials by the events."""
        journal = self._settings.journal
        return Suspender(self._settings.url, self.ingester(node), thresholds, journal=journal)

    def keeper(self) -> KeptOpen:
        """Return what has the directory open."""
        return KeptOpen(self._settings.url)

    def keeps_for_good(self) -> bool:
        """Say whether nothing is ever to be let go of."""
        return keeps_for_good(self._settings.url, self._settings.keep_days)

    def has_webhooks(self) -> bool:
        """Say whether any account wants events sent."""
        return has_webhooks(self._settings.url)

    def revision(self, database: Database) -> str | None:
        """Return the schema that a database has."""
        from gatepost_core.store import migrate  # noqa: PLC0415

        return migrate.revision(self._settings, database)

    def upgrade(self, database: Database) -> tuple[str | None, str | None]:
        """Make a database, or bring it to this release's schema."""
        from gatepost_core.store import migrate  # noqa: PLC0415

        return migrate.upgrade_one(self._settings, database)

    def downgrade(self, database: Database, target: str) -> tuple[str, str]:
        """Take a database back to an older schema."""
        from gatepost_core.store import migrate  # noqa: PLC0415

        return migrate.downgrade_one(self._settings, database, target)

    def copy(self, database: Database, target: Path) -> None:
        """Copy a database while others write, and see that the copy is sound."""
        copies.make(self._url(database), target)

    def schema_of(self, copy: Path) -> str:
        """Return the schema of a copy that is sound."""
        return copies.schema(copy)

    def finished_in(self, copy: Path) -> set[bytes]:
        """Return the segments that a copied journal has all of."""
        return copies.finished(copy)

    def where(self, database: Database) -> str:
        """Return a database's file."""
        return str(self._file(database))

    def files(self, database: Database) -> tuple[Path, ...]:
        """Return a database's file, its log and its index."""
        file = self._file(database)
        return (file, *(file.with_name(f"{file.name}{end}") for end in _BESIDE))

    @property
    def home(self) -> Path:
        """The directory's folder."""
        return home(self._settings)

    @contextmanager
    def _connection(self, database: Database, *, write: bool) -> Iterator[Connection]:
        with (
            self._engine(database, reading=not write) as engine,
            engine.begin() if write else engine.connect() as connection,
        ):
            yield connection

    @contextmanager
    def _engine(self, database: Database, *, reading: bool) -> Iterator[Engine]:
        """Open a database anew each time: one that was restored meanwhile is another file."""
        from gatepost_core.store.sqlite.engine import faults, open_engine  # noqa: PLC0415

        url = self._url(database)
        with faults(url):
            there = database_file(url).exists()
        if not there:  # SQLite would make an empty one
            file = database_file(url)
            raise StoreUnavailable(f"{file}: does not exist; run 'gatepost store upgrade' to make it")
        synchronous = self._settings.synchronous if database == "journal" else "full"
        engine = open_engine(url, reading=reading, synchronous=synchronous)
        try:
            with faults(url):
                yield engine
        finally:
            engine.dispose()

    def _url(self, database: Database) -> str:
        return url_of(self._settings, database)

    def _file(self, database: Database) -> Path:
        return database_file(self._url(database))
