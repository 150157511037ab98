"""Taking from counters, for one message or for several that wait together, in one transaction.

What is asked of SQLite is what a message costs, so it is asked little: while all counters stay far below
their limits nobody wants to know their numbers; and what a message took, which is kept until it cannot be
given back any more, names a set of counters where several messages take from the same.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from gatepost_core.domain.limits import Want
from gatepost_core.domain.memo import memo
from gatepost_core.store.sqlite.counts.counting import LESS, SET_SECONDS

_ADD: Final = (
    "INSERT INTO counts (key, start, used, ends) VALUES {} ON CONFLICT (key, start) "
    "DO UPDATE SET used = used + excluded.used"
)
_TAKE: Final = "INSERT OR IGNORE INTO takes VALUES (?, ?)"
_SET: Final = "INSERT INTO sets (counters, at) VALUES (?, ?)"
_SUM: Final = "SELECT sum(used) FROM counts WHERE key = ? AND start BETWEEN ? AND ?"
_SETS_MOST: Final = 5_000
_LOUD_MOST: Final = 10_000

Counters = tuple[tuple[str, int], ...]


class Take(NamedTuple):
    """What a message, by its id, is to take: see ``Counters.take``. ``counters``: keys and starts of it."""

    number: bytes
    wants: Sequence[Want]
    quiet: Sequence[int]
    counters: Counters


class Taking:
    """Takes, in one file. For one thread at a time; what it remembers is of the file that it was made for."""

    def __init__(self) -> None:
        # Sets' numbers; 0: such counters were seen once, and told with the take. A number stands for a while,
        # and its row until the last take that names it is forgotten.
        self._sets: dict[Counters, int] = {}
        self._sets_until = 0.0
        self._made: list[Counters] = []
        # Counters, in their windows, of which somebody wants to know the number.
        self._loud: set[tuple[str, int]] = set()

    def take(
        self, connection: sqlite3.Connection, takes: Sequence[Take], now: float
    ) -> list[list[int] | None]:
        """Return of each message what ``Counters.take`` does; ``now``: seconds since 1970."""
        if not self._sets_until - SET_SECONDS <= now < self._sets_until or len(self._sets) > _SETS_MOST:
            self._sets, self._sets_until = {}, now + SET_SECONDS
        execute = connection.execute
        quietly = all(map(self._may_be_quiet, takes))
        before: list[list[int] | None] = []
        execute("BEGIN IMMEDIATE")
        try:
            if not quietly or not self._quietly(connection, takes, int(now)):
                if quietly:  # some counter is not quiet any more: all of it anew
                    self._undo(connection)
                    execute("BEGIN IMMEDIATE")
                before = [self._taken(connection, one, int(now)) for one in takes]
                if not any(before):
                    self._undo(connection)
                    return before
            execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                self._undo(connection)
            raise
        self._made.clear()
        return before or [[] for _ in takes]

    def _undo(self, connection: sqlite3.Connection) -> None:
        for counters in self._made:
            self._sets.pop(counters, None)
        self._made.clear()
        connection.execute("ROLLBACK")

    def _may_be_quiet(self, one: Take) -> bool:
        """Say whether a message may leave all counters quiet: nothing slides, and it is little by itself."""
        _, wants, quiet, counters = one
        if not quiet or not self._loud.isdisjoint(counters):
            return False
        for want, less in zip(wants, quiet, strict=True):
            if want[1] != want[2] or want[4] >= less:
                return False
        return True

    def _quietly(self, connection: sqlite3.Connection, takes: Iterable[Take], now: int) -> bool:
        """Take, and ask for no numbers; False where a counter would not be quiet any more.

        Then some of it may be done. What counters had costs as much as adding to them.
        """
        execute = connection.execute
        for one in takes:
            number, wants, quiet, _ = one
            if not execute(_TAKE, (number, self._took(connection, one, now))).rowcount:
                continue
            values = _values(wants)
            for want, less in zip(wants, quiet, strict=True):
                values += (want[0], less)
            if execute(_add_quietly(len(wants)), values).rowcount != len(wants):
                return False
        return True

    def _taken(self, connection: sqlite3.Connection, one: Take, now: int) -> list[int] | None:
        """Take for one message of a transaction, which others may have a part in."""
        number, wants, quiet, _ = one
        execute = connection.execute
        if not execute(_TAKE, (number, self._took(connection, one, now))).rowcount:
            return []
        has = dict(execute(_add(len(wants)), _values(wants)).fetchall())
        before = []
        for want in wants:
            key, start, first, _, amount, most = want
            used = has[key] if first == start else _sum(connection, want)
            if used > most:
                break
            before.append(used - amount)
        else:
            self._hear(wants, quiet, before)
            return before
        # It leaves nothing behind; what others of the transaction took stays.
        execute("DELETE FROM takes WHERE id = ?", (number,))
        connection.executemany(LESS, [(amount, key, start) for key, start, _, _, amount, _ in wants])
        return None

    def _hear(self, wants: Sequence[Want], quiet: Sequence[int], before: Sequence[int]) -> None:
        """Remember which counters are not quiet any more: to try that first would be in vain."""
        if len(self._loud) > _LOUD_MOST:
            self._loud.clear()
        for want, less, had in zip(wants, quiet, before, strict=False):
            if had + want.amount >= less:
                self._loud.add((want.key, want.start))

    def _took(self, connection: sqlite3.Connection, one: Take, now: int) -> str:
        """Return what a take tells of what it took, which may make a set."""
        _, wants, _, counters = one
        number = self._sets.get(counters)
        if number is None:
            self._sets[counters] = 0
            return "\n".join([f"{want[0]}\t{want[1]}\t{want[4]}" for want in wants])
        if not number:
            lines = "\n".join([f"{key}\t{start}" for key, start in counters])
            self._sets[counters] = number = connection.execute(_SET, (lines, now)).lastrowid or 0
            self._made.append(counters)
        return f"={number} {' '.join([str(want[4]) for want in wants])}"


def _values(wants: Sequence[Want]) -> list[str | int]:
    return [value for key, start, _, ends, amount, _ in wants for value in (key, start, amount, ends)]


def _sum(connection: sqlite3.Connection, want: Want) -> int:
    return int(connection.execute(_SUM, (want.key, want.first, want.start)).fetchone()[0])


@memo(16)
def _add(counters: int) -> str:
    return _ADD.format(",".join(["(?, ?, ?, ?)"] * counters)) + " RETURNING key, used"


@memo(16)
def _add_quietly(counters: int) -> str:
    less = f" WHERE used + excluded.used < CASE excluded.key{' WHEN ? THEN ?' * counters} END"
    return _ADD.format(",".join(["(?, ?, ?, ?)"] * counters)) + less
