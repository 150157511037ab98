"""The file of counters: what is read of it, given back and forgotten. What is taken: ``taking``."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from gatepost_core.domain.limits import Bucket, Reset, Want
from gatepost_core.store.sqlite.counts.counterfile import FORMAT
from gatepost_core.store.sqlite.driver import transaction

_SWEPT_MOST: Final = 2_000
_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS counts (key TEXT NOT NULL, start INTEGER NOT NULL, used INTEGER NOT NULL, "
    "ends INTEGER NOT NULL, PRIMARY KEY (key, start)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS counts_ends ON counts (ends)",
    # In the order of time, as message ids are. A line for each counter: key, start and amount; or = and the
    # number of a row of sets, and the amounts.
    "CREATE TABLE IF NOT EXISTS takes (id BLOB PRIMARY KEY, took TEXT NOT NULL) WITHOUT ROWID",
    # Counters that several messages took from: a line for each, key and start. Most of what is written of a
    # message would be these. ``at``: when it was made, in seconds since 1970.
    "CREATE TABLE IF NOT EXISTS sets (number INTEGER PRIMARY KEY, counters TEXT NOT NULL, "
    "at INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS made (at INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS resets (key TEXT NOT NULL, at INTEGER NOT NULL, by TEXT NOT NULL, "
    "counters INTEGER NOT NULL)",
    f"PRAGMA user_version = {FORMAT}",
)
_SWEEP_COUNTS: Final = (
    "DELETE FROM counts WHERE (key, start) IN (SELECT key, start FROM counts WHERE ends < ? LIMIT ?)"
)
_SWEEP_TAKES: Final = "DELETE FROM takes WHERE id IN (SELECT id FROM takes WHERE id < ? LIMIT ?)"
_LOOK: Final = "SELECT {}, start, used FROM counts WHERE key = ? AND start BETWEEN ? AND ?"
_HAD: Final = "SELECT count(DISTINCT key) FROM counts WHERE used > 0 AND key >= ? AND key < ?"
_RESETS_KEPT: Final = 400 * 86_400
LESS: Final = "UPDATE counts SET used = max(used - ?, 0) WHERE key = ? AND start = ?"
# A set of counters is named by takes for so long after it was made, at most.
SET_SECONDS: Final = 3_600


def make(connection: sqlite3.Connection, now: int) -> None:
    """Make the tables in an empty file."""
    # Small pages: a message changes a few numbers in three of them, and each is written as a whole.
    connection.execute("PRAGMA page_size = 1024")
    connection.execute("PRAGMA journal_mode = WAL")
    with transaction(connection):
        for statement in _TABLES:
            connection.execute(statement)
        connection.execute("INSERT INTO made SELECT ? WHERE NOT EXISTS (SELECT 1 FROM made)", (now,))


def made_at(connection: sqlite3.Connection) -> int:
    """Return when the file was made."""
    (at,) = connection.execute("SELECT at FROM made").fetchone()
    return int(at)


def give_back(connection: sqlite3.Connection, number: bytes) -> bool:
    """See ``Counters.give_back``."""
    with transaction(connection):
        # The row stays, so that a take that is repeated late counts nothing.
        row = connection.execute("SELECT took FROM takes WHERE id = ?", (number,)).fetchone()
        if row is None or not row[0]:
            return False
        connection.execute("UPDATE takes SET took = '' WHERE id = ?", (number,))
        connection.executemany(LESS, _taken(connection, row[0]))
    return True


def _taken(connection: sqlite3.Connection, took: str) -> list[tuple[int, str, int]]:
    """Return what a take says of what it took: amounts, counters and their starts."""
    if not took.startswith("="):
        lines = [line.split("\t") for line in took.split("\n")]
        return [(int(amount), key, int(start)) for key, start, amount in lines]
    number, *amounts = map(int, took[1:].split(" "))
    row = connection.execute("SELECT counters FROM sets WHERE number = ?", (number,)).fetchone()
    if row is None:  # its time is over, and the take's as well
        return []
    pairs = [line.split("\t") for line in row[0].split("\n")]
    return [(amount, key, int(start)) for amount, (key, start) in zip(amounts, pairs, strict=True)]


def buckets(connection: sqlite3.Connection, wants: Sequence[Want]) -> list[list[Bucket]]:
    """See ``Looking.look``."""
    query = " UNION ALL ".join([_LOOK.format(place) for place in range(len(wants))])
    values = [value for key, start, first, *_ in wants for value in (key, first, start)]
    found: list[list[Bucket]] = [[] for _ in wants]
    for place, start, used in connection.execute(query, values):
        found[place].append(Bucket(start, used))
    for one in found:
        one.sort()
    return found


def fill(connection: sqlite3.Connection, want: Want, found: Sequence[Bucket]) -> None:
    """Have in an empty counter what was found elsewhere; one that has something already stays."""
    lasts = want.ends - want.start
    with transaction(connection):
        if not buckets(connection, [want])[0]:
            connection.executemany(
                "INSERT OR IGNORE INTO counts (key, start, used, ends) VALUES (?, ?, ?, ?)",
                [(want.key, one.start, one.used, one.start + lasts) for one in found],
            )


def reset(connection: sqlite3.Connection, key: str, by: str, now: int) -> int:
    """See ``Counters.reset``. Emptied, not deleted: what is not there may be filled from the journal."""
    between = key, f"{key}\x7f"
    with transaction(connection):
        (had,) = connection.execute(_HAD, between).fetchone()
        connection.execute("UPDATE counts SET used = 0 WHERE used > 0 AND key >= ? AND key < ?", between)
        connection.execute("INSERT INTO resets VALUES (?, ?, ?, ?)", (key, now, by, had))
        connection.execute("DELETE FROM resets WHERE at < ?", (now - _RESETS_KEPT,))
    return int(had)


def resets(connection: sqlite3.Connection, key: str) -> list[Reset]:
    """See ``Counters.resets``."""
    query = "SELECT at, by, counters FROM resets WHERE key >= ? AND key < ? ORDER BY at"
    return [Reset(*row) for row in connection.execute(query, (key, f"{key}\x7f"))]


def sweep(connection: sqlite3.Connection, now: int, oldest: bytes) -> None:
    """Forget some of what is over at ``now``, and takes of messages before ``oldest``, an id."""
    connection.execute(_SWEEP_COUNTS, (now, _SWEPT_MOST))
    connection.execute(_SWEEP_TAKES, (oldest, _SWEPT_MOST))
    connection.execute("DELETE FROM sets WHERE at < ?", (_seconds(oldest) - 2 * SET_SECONDS,))


def _seconds(oldest: bytes) -> int:
    """Return the time of an id, in seconds since 1970."""
    return int.from_bytes(oldest[:6], "big") // 1000
