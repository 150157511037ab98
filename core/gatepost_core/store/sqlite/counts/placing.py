"""The statements that keep places that credentials have sent from: see ``places``."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

from gatepost_core.domain.rules.places import (
    ADMITTED,
    PLACES_MOST,
    Admitted,
    Kind,
    Known,
    Owner,
    Place,
)
from gatepost_core.store.sqlite.driver import transaction

FORM: Final = 1
# That a place was used is noted once in so many seconds: else all messages would write.
_USED_SECONDS: Final = 86_400
_TABLES: Final = (
    # Who has a row here has learned its first place of that kind.
    "CREATE TABLE IF NOT EXISTS owners (owner TEXT NOT NULL, kind TEXT NOT NULL, username TEXT NOT NULL, "
    "since INTEGER NOT NULL, PRIMARY KEY (owner, kind)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS places (owner TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, "
    "since INTEGER NOT NULL, last INTEGER NOT NULL, by TEXT NOT NULL, PRIMARY KEY (owner, kind, name)) "
    "WITHOUT ROWID",
    # ``lost``: it took the place of one that was damaged.
    "CREATE TABLE IF NOT EXISTS made (at INTEGER NOT NULL, lost INTEGER NOT NULL)",
    f"PRAGMA user_version = {FORM}",
)
_LOOK: Final = (
    "SELECT EXISTS (SELECT 1 FROM owners WHERE owner = ?1 AND kind = ?2), "
    "(SELECT last FROM places WHERE owner = ?1 AND kind = ?2 AND name = ?3)"
)
_OWNER: Final = "INSERT OR IGNORE INTO owners (owner, kind, username, since) VALUES (?, ?, ?, ?)"
_PLACE: Final = (
    "INSERT INTO places (owner, kind, name, since, last, by) VALUES (?1, ?2, ?3, ?4, ?4, ?5) "
    "ON CONFLICT (owner, kind, name) DO UPDATE SET last = max(last, excluded.last)"
)
_NAMES: Final = "SELECT name FROM places WHERE owner = ? AND kind = ? ORDER BY last DESC, name"
_KNOWN: Final = (
    "SELECT kind, name, since, last, by FROM places WHERE owner = ? ORDER BY kind, last DESC, name"
)
_OWNERS: Final = (
    "SELECT owner, min(username), min(since) FROM owners WHERE owner > ? GROUP BY owner ORDER BY owner "
    "LIMIT ?"
)


def make(connection: sqlite3.Connection, now: int, *, lost: bool) -> None:
    """Make the tables in an empty file."""
    connection.execute("PRAGMA journal_mode = WAL")
    with transaction(connection):
        for statement in _TABLES:
            connection.execute(statement)
        connection.execute("INSERT INTO made SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM made)", (now, lost))


def lost_before(connection: sqlite3.Connection) -> int:
    """Return since when all is known again, in seconds since 1970; 0 where nothing was lost."""
    at, lost = connection.execute("SELECT at, lost FROM made").fetchone()
    return int(at) if lost else 0


def admit(
    connection: sqlite3.Connection, owner: Owner, places: Sequence[Place], by: str, now: int, lost: int
) -> Admitted:
    """See ``Seen.admit``; ``lost``: see ``lost_before``. Reads only, where nothing is to be noted."""
    states = [_state(connection, owner, place, lost) for place in places]
    if all(last is not None and now - last < _USED_SECONDS for _, last in states):
        return ADMITTED
    if not _new(places, states):
        with transaction(connection):
            if not _new(places, [_state(connection, owner, place, lost) for place in places]):
                _note(connection, owner, places, by, now)
                return ADMITTED
    return look(connection, owner, places, lost)


def look(connection: sqlite3.Connection, owner: Owner, places: Sequence[Place], lost: int) -> Admitted:
    """See ``Seen.look``."""
    new = _new(places, [_state(connection, owner, place, lost) for place in places])
    known = [
        Place(place.kind, name)
        for place in new
        for (name,) in connection.execute(_NAMES, (owner.key, place.kind.value))
    ]
    return Admitted(new, tuple(known))


def _state(connection: sqlite3.Connection, owner: Owner, place: Place, lost: int) -> tuple[bool, int | None]:
    """Return whether an owner has learned of a kind, and when a place of it was last used."""
    begun, last = connection.execute(_LOOK, (owner.key, place.kind.value, place.name)).fetchone()
    # What was known of an older one is gone: nobody can say that it has sent from nowhere yet.
    return bool(begun) or owner.since < lost, last


def _new(places: Sequence[Place], states: Sequence[tuple[bool, int | None]]) -> tuple[Place, ...]:
    return tuple(
        [place for place, (begun, last) in zip(places, states, strict=True) if begun and last is None]
    )


def _note(connection: sqlite3.Connection, owner: Owner, places: Iterable[Place], by: str, now: int) -> None:
    for kind, name in places:
        connection.execute(_OWNER, (owner.key, kind.value, owner.username, owner.since))
        connection.execute(_PLACE, (owner.key, kind.value, name, now, by))


def teach(
    connection: sqlite3.Connection, owner: Owner, places: Iterable[Place], by: str, now: int
) -> list[Place]:
    """See ``Seen.teach``."""
    left_out = []
    with transaction(connection):
        for place in places:
            names = [name for (name,) in connection.execute(_NAMES, (owner.key, place.kind.value))]
            if len(names) >= PLACES_MOST and place.name not in names:
                left_out.append(place)
            else:
                _note(connection, owner, [place], by, now)
    return left_out


def known(connection: sqlite3.Connection, owner: Owner) -> list[Known]:
    """See ``Seen.known``."""
    rows = connection.execute(_KNOWN, (owner.key,))
    return [Known(Place(Kind(kind), name), since, last, by) for kind, name, since, last, by in rows]


def forget(connection: sqlite3.Connection, owner: Owner, places: Sequence[Place] | None) -> int:
    """See ``Seen.forget``."""
    with transaction(connection):
        if places is None:
            connection.execute("DELETE FROM owners WHERE owner = ?", (owner.key,))
            return connection.execute("DELETE FROM places WHERE owner = ?", (owner.key,)).rowcount
        one = "DELETE FROM places WHERE owner = ? AND kind = ? AND name = ?"
        return sum([connection.execute(one, (owner.key, *place)).rowcount for place in places])


def owners(connection: sqlite3.Connection, after: str, most: int) -> list[Owner]:
    """See ``Seen.owners``."""
    return [Owner(*row) for row in connection.execute(_OWNERS, (after, most))]


def prune(connection: sqlite3.Connection, owner: Owner, unused_since: int) -> int:
    """See ``Seen.prune``. That it has learned a place stays known: what comes then is held."""
    with transaction(connection):
        query = "DELETE FROM places WHERE owner = ? AND last < ?"
        return connection.execute(query, (owner.key, unused_since)).rowcount
