"""Reading which messages are held. Functions on an open connection of the journal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy import Connection, func, literal_column, select

from gatepost_core.domain import MessageRecord
from gatepost_core.store import messages as records
from gatepost_core.store import paging
from gatepost_core.store.holding.orders import Asked, asked
from gatepost_core.store.holding.tables import OPEN, holdings
from gatepost_core.store.paging import Leading, Page, Search, Walk
from gatepost_core.store.schema import messages

_COLUMNS: Final = [holdings.c.message_id, holdings.c.since_at, holdings.c.reason]


@dataclass(frozen=True, slots=True)
class Held:
    """A message in the hold queue, since when, why, and what was asked for of it."""

    record: MessageRecord
    since: datetime
    reason: str
    asked: Asked | None = None


def held(connection: Connection, limit: int, cursor: str = "", *, credential: str = "") -> Walk[Held]:
    """Return the newest messages that are held, at most ``limit``; ``credential``: a user name, or ''."""
    return Walk(partial(page, connection, credential=credential), limit, cursor)


def waiting(connection: Connection) -> tuple[int, datetime | None]:
    """Return how many messages are held, and since when the first is."""
    row = connection.execute(select(func.count(), func.min(holdings.c.since_at)).where(OPEN)).one()
    return row[0], row[1]


def page(
    connection: Connection,
    limit: int,
    cursor: str = "",
    *,
    credential: str = "",
    account_id: int | None = None,
    since: datetime | None = None,
) -> Page[Held]:
    """Return a page of them; of one account's messages alone, and of those accepted since then."""
    rest = []
    if credential or account_id is not None:
        own = [messages.c.id == holdings.c.message_id]
        own += [messages.c.username == credential] if credential else []
        own += [messages.c.account_id == account_id] if account_id is not None else []
        rest.append(select(literal_column("1")).where(*own).exists())
    search = Search(
        _COLUMNS,
        holdings.c.message_id,
        Leading(holdings.c.message_id, OPEN),
        tuple(rest),
        paging.since(since),
    )
    found = paging.page(connection, search, limit, cursor, patience=math.inf)
    numbers = [row.message_id for row in found.items]
    known = {one.id: one for one in records.of_ids(connection, numbers)}
    orders = asked(connection, numbers)
    items = [
        Held(known[row.message_id], row.since_at, row.reason, orders.get(row.message_id))
        for row in found.items
        if row.message_id in known
    ]
    return Page(items, found.cursor, found.stopped)
