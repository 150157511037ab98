"""The store: accounts, credentials, domains (the *directory*) and messages, last use (the *journal*).

SQLAlchemy 2 Core over SQLite in WAL mode. Two databases, because SQLite tells of a change anywhere in a
file, and every message writes to the journal: credentials read through the cache must not be forgotten for
that. Faults raise ``StoreUnavailable``. Daemons read with ``reader``, which does without SQLAlchemy, and
find the file by ``locate``; what is offered here does without it. Whoever else works with the store is given
a ``backend``, which ``opening`` opens. ``images`` keeps hosted images, as files.
"""

from gatepost_core.domain.errors import Conflict, NotFound, StoreError, StoreUnavailable
from gatepost_core.store.sqlite.counts.counters import SqliteLooking as CountersReader
from gatepost_core.store.sqlite.counts.counters import open_counters
from gatepost_core.store.sqlite.counts.places import check_places, copy_places, open_places, places_file
from gatepost_core.store.sqlite.counts.submissions import open_repeats, open_submissions
from gatepost_core.store.sqlite.locate import database_file, home
from gatepost_core.store.sqlite.reader import Reader
from gatepost_core.store.sqlite.referred import References, Referred

__all__ = [
    "Conflict",
    "CountersReader",
    "NotFound",
    "Reader",
    "References",
    "Referred",
    "StoreError",
    "StoreUnavailable",
    "check_places",
    "copy_places",
    "database_file",
    "home",
    "open_counters",
    "open_places",
    "open_repeats",
    "open_submissions",
    "places_file",
]
