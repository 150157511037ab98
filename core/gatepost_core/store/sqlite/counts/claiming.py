"""The statements of claims, each a transaction of its own: see ``submissions``.

One row for each recipient of a key, one for each key, one for each owner with the number of its recipients,
so that nothing is ever counted. Everything is by an index, and linear in the recipients of the message.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from gatepost_core.domain import ids
from gatepost_core.domain.limits.submissions import CLAIM_SECONDS, Claimed, ClaimState, Outcome, Submission
from gatepost_core.store.sqlite.driver import transaction

FORM: Final = 1
# At once: messages with a key wait meanwhile.
_SWEPT_MOST: Final = 500
# Of one message, so that nobody fills the file by repeating it; the newest are kept.
_REPEATS_MOST: Final = 20
_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS submissions (key BLOB PRIMARY KEY, owner TEXT NOT NULL, "
    "content BLOB NOT NULL) WITHOUT ROWID",
    # ``at`` is when it was claimed, in seconds since 1970; the message's id holds when that came.
    "CREATE TABLE IF NOT EXISTS claims (key BLOB NOT NULL, recipient BLOB NOT NULL, message BLOB NOT NULL, "
    "state INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (key, recipient)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS claims_message ON claims (message)",
    "CREATE INDEX IF NOT EXISTS claims_accepted ON claims (message) WHERE state = "
    f"{ClaimState.ACCEPTED.value}",
    "CREATE TABLE IF NOT EXISTS owners (owner TEXT PRIMARY KEY, claims INTEGER NOT NULL) WITHOUT ROWID",
    # In the order in which they came.
    "CREATE TABLE IF NOT EXISTS repeats (id INTEGER PRIMARY KEY, queue_id TEXT NOT NULL, "
    "message BLOB NOT NULL)",
    "CREATE INDEX IF NOT EXISTS repeats_queue_id ON repeats (queue_id)",
    "CREATE INDEX IF NOT EXISTS repeats_message ON repeats (message)",
    f"PRAGMA user_version = {FORM}",
)
_CLAIM: Final = "INSERT OR REPLACE INTO claims (key, recipient, message, state, at) VALUES (?, ?, ?, ?, ?)"
_MORE: Final = (
    "INSERT INTO owners (owner, claims) VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET claims = claims + "
    "excluded.claims"
)
_STANDS: Final = "SELECT message FROM claims WHERE key = ? AND (state > 0 OR abs(at - ?) < ?) LIMIT 1"
_ACCEPTED: Final = (
    f"SELECT DISTINCT message FROM claims WHERE state = {ClaimState.ACCEPTED.value} AND message > ? "  # noqa: S608
    "ORDER BY message LIMIT ?"
)
_TOO_MANY: Final = (
    "DELETE FROM repeats WHERE message = ?1 AND id <= (SELECT id FROM repeats WHERE message = ?1 ORDER BY id "
    "DESC LIMIT 1 OFFSET ?2)"
)


def make(connection: sqlite3.Connection) -> None:
    """Make the tables in an empty file."""
    connection.execute("PRAGMA journal_mode = WAL")
    with transaction(connection):
        for statement in _TABLES:
            connection.execute(statement)


def claim(
    connection: sqlite3.Connection, wanted: Submission, number: bytes, queue_id: str, now: int, most: int
) -> Claimed:
    """See ``Submissions.claim``; ``number``: the message's id."""
    execute = connection.execute
    execute("BEGIN IMMEDIATE")
    try:
        claimed = _claimed(connection, wanted, number, queue_id, now, most)
        changed = claimed.outcome in (Outcome.NEW, Outcome.REPEATED)
        execute("COMMIT" if changed else "ROLLBACK")
    except BaseException:
        if connection.in_transaction:
            execute("ROLLBACK")
        raise
    return claimed


def _claimed(
    connection: sqlite3.Connection, wanted: Submission, number: bytes, queue_id: str, now: int, most: int
) -> Claimed:
    key, execute = wanted.key, connection.execute
    row = execute("SELECT content FROM submissions WHERE key = ?", (key,)).fetchone()
    if row is not None and row[0] != wanted.content:
        stands = execute(_STANDS, (key, now, CLAIM_SECONDS)).fetchone()
        if stands is not None:
            return Claimed(Outcome.OTHER_CONTENT, ids.from_bytes(stands[0]))
        _forget(
            connection, execute("SELECT key, recipient FROM claims WHERE key = ?", (key,)).fetchall(), [key]
        )
        row = None
    new, over, known = 0, 0, dict[bytes, bytes]()
    wants = list(dict.fromkeys(wanted.recipients.values()))
    for recipient in wants:
        found = execute(
            "SELECT message, state, at FROM claims WHERE key = ? AND recipient = ?", (key, recipient)
        ).fetchone()
        if found is None:
            new += 1
        elif found[0] == number or (found[1] == ClaimState.CLAIMED and abs(found[2] - now) >= CLAIM_SECONDS):
            over += 1
        elif found[1] == ClaimState.QUEUED:
            known[recipient] = found[0]
        else:
            return Claimed(Outcome.WAITS, ids.from_bytes(found[0]))
    first = ids.from_bytes(min(known.values())) if known else ""
    if not new and not over:
        execute("INSERT INTO repeats (queue_id, message) VALUES (?, ?)", (queue_id, ids.to_bytes(first)))
        execute(_TOO_MANY, (ids.to_bytes(first), _REPEATS_MOST))
        return Claimed(Outcome.REPEATED, first, frozenset(known))
    (has,) = execute(
        "SELECT coalesce(max(claims), 0) FROM owners WHERE owner = ?", (wanted.owner,)
    ).fetchone()
    if has + new > most:
        return Claimed(Outcome.FULL)
    if row is None:
        execute("INSERT INTO submissions VALUES (?, ?, ?)", (key, wanted.owner, wanted.content))
    claims = [(key, one, number, ClaimState.CLAIMED.value, now) for one in wants if one not in known]
    connection.executemany(_CLAIM, claims)
    execute(_MORE, (wanted.owner, new))
    return Claimed(Outcome.NEW, first, frozenset(known))


def accept(connection: sqlite3.Connection, number: bytes, recipients: int, state: ClaimState) -> bool:
    """See ``Submissions.accept``. On disk by then: the log is not written again for a claim before it."""
    mine = "message = ? AND state = ?"
    values = number, ClaimState.CLAIMED.value
    connection.execute("PRAGMA synchronous = FULL")
    try:
        with transaction(connection):
            (left,) = connection.execute(f"SELECT count(*) FROM claims WHERE {mine}", values).fetchone()  # noqa: S608
            if left != recipients:
                return False
            connection.execute(f"UPDATE claims SET state = ? WHERE {mine}", (state.value, *values))  # noqa: S608
    finally:
        connection.execute("PRAGMA synchronous = NORMAL")
    return True


def give_back(connection: sqlite3.Connection, number: bytes) -> bool:
    """See ``Submissions.give_back``."""
    with transaction(connection):
        rows = connection.execute(
            "SELECT key, recipient FROM claims WHERE message = ? AND state < ?",
            (number, ClaimState.QUEUED.value),
        ).fetchall()
        _forget(connection, rows)
    return bool(rows)


def accepted(connection: sqlite3.Connection, after: bytes, most: int) -> list[str]:
    """See ``Submissions.accepted``."""
    return [ids.from_bytes(number) for (number,) in connection.execute(_ACCEPTED, (after, most))]


def queued(connection: sqlite3.Connection, numbers: Iterable[bytes]) -> None:
    """See ``Submissions.queued``."""
    states = ClaimState.QUEUED.value, ClaimState.ACCEPTED.value
    with transaction(connection):
        connection.executemany(
            "UPDATE claims SET state = ?2 WHERE message = ?1 AND state = ?3",
            [(number, *states) for number in numbers],
        )


def sweep(connection: sqlite3.Connection, oldest: bytes) -> int:
    """See ``Submissions.sweep``."""
    old = "SELECT key, recipient FROM claims WHERE message < ? ORDER BY message LIMIT ?"
    with transaction(connection):
        rows = connection.execute(old, (oldest, _SWEPT_MOST)).fetchall()
        _forget(connection, rows)
        connection.execute(
            "DELETE FROM repeats WHERE id IN (SELECT id FROM repeats WHERE message < ? LIMIT ?)",
            (oldest, _SWEPT_MOST),
        )
    return len(rows)


def first_of(connection: sqlite3.Connection, queue_id: str) -> str:
    """See ``Repeats.first_of``."""
    query = "SELECT message FROM repeats WHERE queue_id = ? ORDER BY id DESC LIMIT 1"
    row = connection.execute(query, (queue_id,)).fetchone()
    return ids.from_bytes(row[0]) if row is not None else ""


def _forget(
    connection: sqlite3.Connection, rows: Sequence[tuple[bytes, bytes]], keys: Iterable[bytes] = ()
) -> None:
    """Forget recipients, and keys and owners that have none left then."""
    connection.executemany("DELETE FROM claims WHERE key = ? AND recipient = ?", rows)
    numbers = Counter([key for key, _ in rows])
    numbers.update(dict.fromkeys(keys, 0))
    for key, number in numbers.items():
        found = connection.execute("SELECT owner FROM submissions WHERE key = ?", (key,)).fetchone()
        if found is None:
            continue
        connection.execute("UPDATE owners SET claims = claims - ? WHERE owner = ?", (number, found[0]))
        connection.execute("DELETE FROM owners WHERE owner = ? AND claims <= 0", found)
        connection.execute(
            "DELETE FROM submissions WHERE key = ?1 AND NOT EXISTS (SELECT 1 FROM claims WHERE key = ?1)",
            (key,),
        )
