"""Lists that are read a page at a time, newest first, each from where the last one ended.

Every list is in the order of ids, which is that of time, so that no page has to count or to skip what came
before it. What has an index *leads*: it says which rows come into question. What has none is looked at in
windows of those, and for a moment only: whoever asks then gets what was found so far, and where to go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, desc, func, literal_column, select

from gatepost_core.domain import ids

# How long a search without an index may take before it gives back what it has.
PATIENCE: Final = 0.15
_AT_ONCE: Final = 500
_WINDOW_LEAST, _WINDOW_MOST = 200, 5_000
# A window that took less is followed by one of twice its size.
_QUICK: Final = 0.02
_BEYOND_ALL: Final = "~"
T = TypeVar("T")
# Known to the engine when it plans, so that indexes of some rows only are used.
EMPTY: Final[ColumnElement[str]] = literal_column("''")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of a list, and where to go on: an id, or '' when there is no more.

    With ``stopped`` it took too long to look further: there may be more though fewer came than were asked
    for.
    """

    items: list[T]
    cursor: str
    stopped: bool = False


class Walk(Generic[T]):
    """A list, page after page, up to ``limit`` or to where a search without an index gave up.

    ``turn`` returns a page: of at most so many, from a cursor on. Once all was taken, ``cursor`` says where
    to go on ('' at the end of the list), ``stopped`` that it gave up. Between two pages no transaction is
    open: one would keep SQLite's log from being written back for as long as the taker takes.
    """

    def __init__(self, turn: Callable[[int, str], Page[T]], limit: int, cursor: str = "") -> None:
        self._turn = turn
        self._limit = limit
        self.cursor = cursor
        self.stopped = False

    def __iter__(self) -> Iterator[T]:
        """Yield what is left of it."""
        while self._limit > 0 and not self.stopped:
            found = self._turn(min(self._limit, _AT_ONCE), self.cursor)
            yield from found.items
            self._limit -= len(found.items)
            self.cursor, self.stopped = found.cursor, found.stopped
            if not self.cursor:
                return


@dataclass(frozen=True, slots=True)
class Leading:
    """The rows that come into question: those of which ``id`` meets ``condition``."""

    id: ColumnElement[str]
    condition: ColumnElement[bool] | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for. ``id`` is the list's own column, ``columns`` what is read of each row.

    ``leading`` has the ids, maybe in another table; ``rest`` are conditions on the list's rows. ``first`` and
    ``beyond`` bound the ids, as ``since`` and ``until`` make them.
    """

    columns: Sequence[ColumnElement[Any]]
    id: ColumnElement[str]
    leading: Leading
    rest: tuple[ColumnElement[bool], ...] = ()
    first: str = ""
    beyond: str = ""


def since(at: datetime | None) -> str:
    """Return the least id of a time, '' of none. Raises ValueError for a time without a zone."""
    if at is None:
        return ""
    if at.tzinfo is None:
        raise ValueError(f"a time without a zone: {at}")
    milliseconds = int(at.astimezone(UTC).timestamp() * 1000)
    return ids.from_bytes(min(max(milliseconds, 0), 2**48 - 1).to_bytes(6, "big") + bytes(7))


def page(
    connection: Connection,
    search: Search,
    limit: int,
    cursor: str = "",
    *,
    patience: float = PATIENCE,
    clock: Callable[[], float] = time.monotonic,
) -> Page[Row[Any]]:
    """Return rows before ``cursor`` (an id; '': from the newest on), newest first, at most ``limit``."""
    beyond = min(filter(None, (cursor, search.beyond)), default=_BEYOND_ALL)
    if not search.rest and search.leading.id is search.id:
        rows = list(connection.execute(_rows(search, beyond, search.first).limit(limit)))
        return Page(rows, rows[-1][0] if len(rows) == limit else "")
    return _in_windows(connection, search, limit, beyond, clock() + patience, clock)


def _in_windows(
    connection: Connection,
    search: Search,
    limit: int,
    beyond: str,
    until: float,
    clock: Callable[[], float],
) -> Page[Row[Any]]:
    found: list[Row[Any]] = []
    size = max(_WINDOW_LEAST, min(limit, _WINDOW_MOST))
    while True:
        began = clock()
        low, number = _window(connection, search, beyond, size)
        if not number:
            return Page(found, "")
        found += connection.execute(_rows(search, beyond, low).limit(limit - len(found)))
        if len(found) == limit:
            return Page(found, found[-1][0])
        if number < size:
            return Page(found, "")
        beyond = low
        now = clock()
        if now >= until:
            return Page(found, beyond, stopped=True)
        if now - began < _QUICK:
            size = min(2 * size, _WINDOW_MOST)


def _window(connection: Connection, search: Search, beyond: str, size: int) -> tuple[str, int]:
    """Return the least of the next ids that come into question, and how many they are."""
    window = _leading(search, beyond, search.first).order_by(desc(search.leading.id)).limit(size).subquery()
    low, number = connection.execute(select(func.min(window.c[0]), func.count()).select_from(window)).one()
    return low or "", number


def _leading(search: Search, beyond: str, low: str) -> Select[Any]:
    leading = search.leading
    query = select(leading.id.label("id")).where(leading.id < beyond, leading.id >= low)
    return query if leading.condition is None else query.where(leading.condition)


def _rows(search: Search, beyond: str, low: str) -> Select[Any]:
    """Return the query of the rows from ``low`` on to before ``beyond``."""
    query = select(*search.columns).where(search.id < beyond, search.id >= low, and_(True, *search.rest))
    if search.leading.id is not search.id:
        query = query.where(search.id.in_(_leading(search, beyond, low)))
    elif search.leading.condition is not None:
        query = query.where(search.leading.condition)
    return query.order_by(desc(search.id))
