"""Reading events: what happened to messages, newest first, or as it is committed.

Functions on an open connection of the journal. A list is in the order of the events' own ids, a page at a
time (``paging``). Whoever follows goes by node and sequence: a node numbers its events in the order in which
it commits them, so that one that is committed late is late there too, and none is skipped. A failure whose
class becomes known later has a new number then, and comes once more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, func, select

from gatepost_core.domain.errors import NotFound
from gatepost_core.domain.texts import stamp
from gatepost_core.store import messages as records
from gatepost_core.store import paging
from gatepost_core.store.paging import PATIENCE, Leading, Page, Search, Walk
from gatepost_core.store.schema import events, messages, nodes

_AT_ONCE: Final = 500
# In the detail of a refusal: whose client was refused.
_WHO: Final = "credential"


@dataclass(frozen=True, slots=True)
class Event:
    """What happened, to which message, of whom. ``recipient`` is '' where it is of no one of them.

    ``message`` is '' where it is of none: a client was refused before there was one, or nobody may know.
    ``credential``, ``tags``, ``metadata`` are the message's; of a refusal the credential is the one refused.
    ``node`` and ``sequence`` say where to follow from.
    """

    id: str
    time: datetime
    type: str
    message: str
    recipient: str
    credential_id: int
    account_id: int
    detail: Mapping[str, Any]
    node: str
    sequence: int
    credential: str
    tags: tuple[str, ...]
    metadata: Mapping[str, Any]


def data_of(event: Event, accounts: Mapping[int, str | None]) -> dict[str, Any]:
    """Return an event for a program, as lists and webhooks have it.

    ``account`` is None where that is not known, or was removed.
    """
    return {
        "id": event.id,
        "time": stamp(event.time),
        "type": event.type,
        "message": event.message,
        "recipient": event.recipient,
        "credential": event.credential,
        "account": accounts.get(event.account_id),
        "tags": list(event.tags),
        "metadata": event.metadata,
        "detail": event.detail,
    }


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are asked for; '', () and None ask for nothing. ``message``: any of its names.

    ``credential``: the user name of whoever sent the message.
    ``since`` and ``until`` are about when an event was noted; ``until`` itself does not count.
    """

    message: str = ""
    types: tuple[str, ...] = ()
    credential: str = ""
    since: datetime | None = None
    until: datetime | None = None
    account_id: int | None = None


_OF_NODES = events.join(nodes, nodes.c.id == events.c.node)
_FROM = _OF_NODES.outerjoin(messages, messages.c.id == events.c.message_id)
_COLUMNS = (
    events.c.id,
    events.c.time,
    events.c.type,
    events.c.message_id.label("message"),
    events.c.recipient,
    events.c.credential_id,
    events.c.account_id,
    events.c.detail,
    nodes.c.name.label("node"),
    events.c.sequence,
    messages.c.username.label("credential"),
    messages.c.tags,
    messages.c.metadata,
)


def page(
    connection: Connection, wanted: Wanted, limit: int, cursor: str = "", *, patience: float = PATIENCE
) -> Page[Event]:
    """Return the newest events that are asked for, at most ``limit``, and where to go on.

    Raises NotFound for a message that is not there.
    """
    found = paging.page(connection, _search(connection, wanted), limit, cursor, patience=patience)
    numbers = [row[0] for row in found.items]
    by_id = of_ids(connection, numbers)
    return Page([by_id[number] for number in numbers if number in by_id], found.cursor, found.stopped)


def of_ids(connection: Connection, ids: Iterable[str]) -> dict[str, Event]:
    """Return events by their ids; what is no longer kept is left out."""
    rows = connection.execute(_select().where(events.c.id.in_(list(ids))))
    return {row.id: _event(row) for row in rows}


def of_reference(connection: Connection, reference: str, account_id: int | None = None) -> list[Event]:
    """Return the refusals with a reference, the newest first: one, but by a rare chance.

    ``account_id``: only that account's. Raises NotFound.
    """
    query = _select().where(events.c.reference != "", events.c.reference == reference)
    if account_id is not None:
        query = query.where(events.c.account_id == account_id)
    rows = [_event(row) for row in connection.execute(query.order_by(events.c.id.desc()))]
    if not rows:
        raise NotFound(f"no refusal with the reference {reference}")
    return rows


def walk(connection: Connection, wanted: Wanted, limit: int, cursor: str = "") -> Walk[Event]:
    """Return the newest events that are asked for, at most ``limit``, as they are found."""
    return Walk(partial(page, connection, wanted, patience=paging.PATIENCE), limit, cursor)


def each(connection: Connection, wanted: Wanted, limit: int) -> Iterator[Event]:
    """Yield the newest events that are asked for, at most ``limit``, however long it takes."""
    return iter(Walk(partial(page, connection, wanted, patience=math.inf), limit))


def newest(connection: Connection) -> dict[str, int]:
    """Return the last number of each node: what is committed later has a higher one."""
    last = select(func.max(events.c.sequence)).where(events.c.node == nodes.c.id).scalar_subquery()
    return {name: sequence or 0 for name, sequence in connection.execute(select(nodes.c.name, last))}


def following(
    connection: Connection, seen: Mapping[str, int], wanted: Wanted | None = None, limit: int = _AT_ONCE
) -> tuple[list[Event], dict[str, int]]:
    """Return what was committed after ``seen``, oldest first of each node, and what is seen then.

    ``seen``: the last number of each node, as ``newest`` gives it; of a node that is not in it all is new. At
    most ``limit`` of each node are looked at: as many as that, and there may be more.
    """
    found: list[Event] = []
    after = dict(seen)
    for name, number in connection.execute(select(nodes.c.name, nodes.c.id)).all():
        beyond = after.get(name, 0)
        look = events.c.sequence > beyond
        query = _select().where(events.c.node == number, look).order_by(events.c.sequence)
        rows = [_event(row) for row in connection.execute(query.limit(limit))]
        if rows:
            after[name] = rows[-1].sequence
        found += [one for one in rows if wanted is None or _meets(connection, one, wanted)]
    return found, after


def _select() -> Select[Any]:
    return select(*_COLUMNS).select_from(_FROM)


def _search(connection: Connection, wanted: Wanted) -> Search:
    of_types = events.c.type.in_(wanted.types) if wanted.types else None
    leading = Leading(events.c.id)
    rest: list[ColumnElement[bool]] = []
    if wanted.message:
        message = records.get(connection, wanted.message, wanted.account_id).id
        leading = Leading(events.c.id, events.c.message_id == message)
    elif len(wanted.types) == 1:
        leading, of_types = Leading(events.c.id, events.c.type == wanted.types[0]), None
    if of_types is not None:
        rest.append(of_types)
    if wanted.credential:
        sent = (messages.c.id == events.c.message_id) & (messages.c.username == wanted.credential)
        refused = (events.c.reference != "") & (events.c.detail[_WHO].as_string() == wanted.credential)
        rest.append(select(messages.c.id).where(sent).exists() | refused)
    if wanted.account_id is not None:
        rest.append(events.c.account_id == wanted.account_id)
    first, beyond = paging.since(wanted.since), paging.since(wanted.until)
    return Search((events.c.id,), events.c.id, leading, tuple(rest), first, beyond)


def _meets(connection: Connection, event: Event, wanted: Wanted) -> bool:
    if wanted.types and event.type not in wanted.types:
        return False
    if wanted.credential and event.credential != wanted.credential:
        return False
    if wanted.account_id is not None and event.account_id != wanted.account_id:
        return False
    if wanted.message and event.message != records.get(connection, wanted.message).id:
        return False
    first, beyond = paging.since(wanted.since), paging.since(wanted.until)
    return event.id >= first and (not beyond or event.id < beyond)


def _event(row: Any) -> Event:
    values = row._asdict()
    values["credential"] = values["credential"] or (_refused(values) if not values["message"] else "")
    values["tags"] = tuple(values["tags"] or ())
    values["metadata"] = values["metadata"] or {}
    return Event(**values)


def _refused(values: Mapping[str, Any]) -> str:
    """Return the credential whose client an event tells the refusal of; '' for another event."""
    who = values["detail"].get(_WHO, "") if values["type"] == "refused" else ""
    return who if isinstance(who, str) else ""
