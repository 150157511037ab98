"""The seam between the store and what it is kept in: what an engine offers to whoever works with the store.

``opening.open_backend`` gives the one that the settings name, and it is passed in from there: nothing beyond
it knows files of databases, drivers or locks. Tables and queries are SQLAlchemy's and the same on every
engine. The daemons that Postfix asks read one local file whatever the engine, by ``Reader``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

if TYPE_CHECKING:  # settings are told without SQLAlchemy, which takes a tenth of a second to load
    from sqlalchemy import Connection

    from gatepost_core.domain.limits import Counters
    from gatepost_core.domain.limits.submissions import Fates
    from gatepost_core.domain.limits.suspending import Suspension, Thresholds
    from gatepost_core.domain.outcomes import Forwarder, HoldOrder, HoldState, Logged
    from gatepost_core.domain.suppressing import Suppression
    from gatepost_core.spool import Batch
    from gatepost_core.store.sqlite.reader import Reader

# Opens a connection in a transaction, which is committed at the end.
Begin: TypeAlias = "Callable[[], AbstractContextManager[Connection]]"

# What changes rarely, and what every message adds to.
Database = Literal["directory", "journal"]
DATABASES: Final[tuple[Database, ...]] = ("directory", "journal")


class Took(Protocol):
    """What one commit of an ingester took: new messages and events, credentials that were used.

    ``pending``: events whose message is not known yet; ``moved``: those whose message has come;
    ``expired``: those whose message never came.
    """

    @property
    def messages(self) -> int: ...  # noqa: D102 - told above

    @property
    def logins(self) -> int: ...  # noqa: D102

    @property
    def events(self) -> int: ...  # noqa: D102

    @property
    def pending(self) -> int: ...  # noqa: D102

    @property
    def moved(self) -> int: ...  # noqa: D102

    @property
    def expired(self) -> int: ...  # noqa: D102

    @property
    def stopped(self) -> Mapping[tuple[str, bytes], str]:
        """Return segments with something that cannot be read, by stream and id, and what it is."""
        ...

    @property
    def lost(self) -> int:
        """Return how many lines are missing of the mail log, by its accounts and by the records."""
        ...

    @property
    def refused(self) -> Mapping[tuple[str, str], int]:
        """Return how many entries their stream may not hold, by stream and what they are in words."""
        ...


class Ingester(Protocol):
    """A node's way from its spool into the journal, for one thread. Everything raises StoreUnavailable."""

    def positions(self) -> dict[str, dict[bytes, int]]:
        """Return how far each segment is taken, by stream and the segment's id."""
        ...

    def finished(self) -> dict[str, set[bytes]]:
        """Return the segments that are taken to their ends and not gone yet, by stream."""
        ...

    def take(self, batches: Iterable[tuple[str, Batch]], logged: Logged | None = None) -> Took:
        """Commit entries, each batch with its stream's name, and positions, in one transaction.

        With them goes what the mail log told, and how far it was read.
        """
        ...

    def logged(self) -> tuple[str, dict[str, str], float | None]:
        """Return how far the mail log was read ('' for not at all) and what its reader remembers.

        The third: when the oldest message was accepted, in seconds since 1970.
        """
        ...

    def forget(self, stream: str, segments: Iterable[bytes]) -> None:
        """Note that segments are gone."""
        ...

    def close(self) -> None:
        """Let go of what it has open."""
        ...


class Followed(Protocol):
    """What one step of a suppressor did: what is new or renewed, and whether there is more to look at."""

    @property
    def suppressed(self) -> tuple[Suppression, ...]: ...  # noqa: D102 - told above

    @property
    def more(self) -> bool: ...  # noqa: D102


class Suppressor(Protocol):
    """The way from the journal's events to the directory's suppressions, for one thread."""

    def step(self) -> Followed:
        """Look at what is new, and commit what it suppresses, with how far it is. Raises StoreUnavailable."""
        ...

    def close(self) -> None:
        """Keep how far it is, and let go of what it has open."""
        ...


class Judged(Protocol):
    """What one step of a suspender did: user names with it, and whether there is more to look at."""

    @property
    def suspensions(self) -> Sequence[tuple[str, Suspension]]: ...  # noqa: D102 - told above

    @property
    def more(self) -> bool: ...  # noqa: D102


class Suspender(Protocol):
    """The way from the journal's events to suspensions of credentials, for one thread."""

    def step(self) -> Judged:
        """Count what is new, judge whom it is about, and tell of it. Raises StoreUnavailable."""
        ...

    def close(self) -> None:
        """Let go of what it has open."""
        ...


class Returner(Protocol):
    """Gives back to limits what messages took that turned out not to be queued. For one thread."""

    def step(self) -> int:
        """Give back what is new; return of how many messages something was. Raises StoreUnavailable."""
        ...

    def close(self) -> None:
        """Let go of what it has open."""
        ...


class Holder(Protocol):
    """A node's orders about held messages, for one thread. Everything raises StoreUnavailable."""

    def due(self, now: datetime) -> Sequence[HoldOrder]:
        """Return a few orders whose time has come: what somebody asked for, then accounts take turns."""
        ...

    def begin(self, order: HoldOrder) -> bool:
        """Note that it is about to be carried out; False: something else is wanted of the message by now."""
        ...

    def settle(self, order: HoldOrder, state: HoldState, note: str, now: datetime) -> None:
        """Note what came of an order."""
        ...

    def postpone(self, order: HoldOrder, note: str, until: datetime) -> None:
        """Note why an order could not be carried out yet, and when it is tried again."""
        ...

    def close(self) -> None:
        """Let go of what it has open."""
        ...


class Keeper(Protocol):
    """Has open what others can only read while somebody who may write has it open. For one thread."""

    def keep(self) -> str:
        """See that it is open, and still the same; return why it cannot be, else ''."""
        ...

    def settle(self) -> None:
        """At the end: have everything where somebody who copies it looks, unless somebody hinders it."""
        ...

    def close(self) -> None:
        """Have nothing open any more."""
        ...


class Backend(Protocol):
    """A store. Nothing is open but within what it gives; what is used then raises StoreUnavailable."""

    def directory(self, *, write: bool = False) -> AbstractContextManager[Connection]:
        """Open the directory; ``write``: one transaction, committed at the end unless that raises.

        Without it each statement sees what is committed at that moment. Raises StoreUnavailable, also for a
        database that is not there: none is made in its place.
        """
        ...

    def journal(self, *, write: bool = False) -> AbstractContextManager[Connection]:
        """Open the journal, as ``directory`` does."""
        ...

    def transactions(self) -> AbstractContextManager[Begin]:
        """Open the journal for many short transactions, each of which commits as it ends."""
        ...

    def reader(self) -> Reader:
        """Return what the daemons that Postfix asks read the directory with. Nothing is open yet."""
        ...

    def ingester(self, node: str) -> Ingester:
        """Return a node's way into the journal. Nothing is open yet."""
        ...

    def returner(self, node: str, counters: Counters) -> Returner:
        """Return what follows a node's events for the counters of limits. Nothing is open yet."""
        ...

    def fates(self) -> Fates:
        """Return what reads what became of accepted messages. Nothing is open yet."""
        ...

    def holder(self, node: str) -> Holder:
        """Return a node's orders about held messages. Nothing is open yet."""
        ...

    def forwarder(self, node: str) -> Forwarder:
        """Return a node's reports that are to be forwarded. Nothing is open yet."""
        ...

    def suppressor(self, oldest: timedelta, ends: Mapping[str, timedelta]) -> Suppressor:
        """Return what follows the events. Nothing is open yet.

        ``oldest``: of reports, how long before them their message may have been accepted; ``ends``: after how
        long what events suppress ends, by reason.
        """
        ...

    def suspender(self, node: str, thresholds: Thresholds) -> Suspender:
        """Return what warns and suspends credentials, and tells of it as a node. Nothing is open yet."""
        ...

    def keeper(self) -> Keeper:
        """Return what has open what readers of this host need. Nothing is open yet."""
        ...

    def keeps_for_good(self) -> bool:
        """Say whether nothing is ever to be let go of, by settings and accounts. Raises StoreUnavailable."""
        ...

    def has_webhooks(self) -> bool:
        """Say whether any account wants events sent. Raises StoreUnavailable."""
        ...

    def revision(self, database: Database) -> str | None:
        """Return the schema that a database has, None when there is none. Raises StoreUnavailable."""
        ...

    def upgrade(self, database: Database) -> tuple[str | None, str | None]:
        """Make a database, or bring it to this release's schema; return its schema before and after.

        Raises StoreUnavailable, also for a schema from which there is no way; nothing is changed then.
        """
        ...

    def downgrade(self, database: Database, target: str) -> tuple[str, str]:
        """Take a database back to an older schema; return its schema before and after.

        Raises NotFound for a schema that this release does not know, StoreError for one that is not older,
        StoreUnavailable.
        """
        ...

    def copy(self, database: Database, target: Path) -> None:
        """Write a database, as it is at one moment, to a file for a backup. Raises StoreUnavailable."""
        ...

    def schema_of(self, copy: Path) -> str:
        """Return the schema of a database that ``copy`` wrote. Raises StoreUnavailable for a damaged one."""
        ...

    def finished_in(self, copy: Path) -> set[bytes]:
        """Return the spool's segments that a copied journal has all of. Raises StoreUnavailable."""
        ...

    def where(self, database: Database) -> str:
        """Return for people where a database is: its file, or host and name. No password is in it."""
        ...

    def files(self, database: Database) -> tuple[Path, ...]:
        """Return the files of this host that a database consists of, there or not; the first holds it."""
        ...

    @property
    def home(self) -> Path:
        """The folder of this host whose owner the daemons run as, and works with the store."""
        ...
