"""The statements that count, each a transaction of its own: see ``counters``."""

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
    # In the order of time, as message ids are. A line for each counter: key, start and amount.
    "CREATE TABLE IF NOT EXISTS takes (id BLOB PRIMARY KEY, took TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS made (at INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS resets (key TEXT NOT NULL, at INTEGER NOT NULL, by TEXT NOT NULL, "
    "counters INTEGER NOT NULL)",
    f"PRAGMA user_version = {FORMAT}",
)
_ADD: Final = (
    "INSERT INTO counts (key, start, used, ends) VALUES {} ON CONFLICT (key, start) "
    "DO UPDATE SET used = used + excluded.used RETURNING key, used"
)
_SWEEP_COUNTS: Final = (
    "DELETE FROM counts WHERE (key, start) IN (SELECT key, start FROM counts WHERE ends < ? LIMIT ?)"
)
_SWEEP_TAKES: Final = "DELETE FROM takes WHERE id IN (SELECT id FROM takes WHERE id < ? LIMIT ?)"
_LOOK: Final = "SELECT {}, start, used FROM counts WHERE key = ? AND start BETWEEN ? AND ?"
_HAD: Final = "SELECT count(DISTINCT key) FROM counts WHERE used > 0 AND key >= ? AND key < ?"
_RESETS_KEPT: Final = 400 * 86_400


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


def take(connection: sqlite3.Connection, number: bytes, wants: Sequence[Want]) -> list[int] | None:
    """See ``Counters.take``; ``number``: the message's id."""
    took = "\n".join([f"{want.key}\t{want.start}\t{want.amount}" for want in wants])
    execute = connection.execute
    execute("BEGIN IMMEDIATE")
    try:
        fresh = execute("INSERT OR IGNORE INTO takes VALUES (?, ?)", (number, took)).rowcount
        before = _added(connection, wants) if fresh else []
        execute("COMMIT" if before else "ROLLBACK")
    except BaseException:
        if connection.in_transaction:
            execute("ROLLBACK")
        raise
    return before


def _added(connection: sqlite3.Connection, wants: Sequence[Want]) -> list[int] | None:
    """Add what is wanted; return what each counter had, None where one of them has more than its most now."""
    values = [value for key, start, _, ends, amount, _ in wants for value in (key, start, amount, ends)]
    query = _ADD.format(",".join(["(?, ?, ?, ?)"] * len(wants)))
    has = dict(connection.execute(query, values).fetchall())
    before = []
    for want in wants:
        used = has[want.key] if want.first == want.start else _sum(connection, want)
        if used > want.most:
            return None
        before.append(used - want.amount)
    return before


def _sum(connection: sqlite3.Connection, want: Want) -> int:
    query = "SELECT sum(used) FROM counts WHERE key = ? AND start BETWEEN ? AND ?"
    return int(connection.execute(query, (want.key, want.first, want.start)).fetchone()[0])


def give_back(connection: sqlite3.Connection, number: bytes) -> bool:
    """See ``Counters.give_back``."""
    with transaction(connection):
        # The row stays, so that a take that is repeated late counts nothing.
        row = connection.execute("SELECT took FROM takes WHERE id = ?", (number,)).fetchone()
        if row is None or not row[0]:
            return False
        connection.execute("UPDATE takes SET took = '' WHERE id = ?", (number,))
        lines = [line.split("\t") for line in row[0].split("\n")]
        connection.executemany(
            "UPDATE counts SET used = max(used - ?, 0) WHERE key = ? AND start = ?",
            [(int(amount), key, int(start)) for key, start, amount in lines],
        )
    return True


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
