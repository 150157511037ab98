"""From the journal's events into the outbox, each once, and how far that is, in one transaction.

Events are followed by (node, sequence), as whoever follows them does. One position stands for all endpoints;
an endpoint has one of its own while it is behind: because it is new, or because so much waits for it already
that no more finds room. So nothing is lost, and a slow endpoint takes no more room than it may.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, func, insert, select, tuple_, update

from gatepost_core.store.schema import events, nodes
from gatepost_core.store.webhooks.endpoints import Endpoint
from gatepost_core.store.webhooks.tables import (
    webhook_attempts,
    webhook_dead,
    webhook_endpoints,
    webhook_outbox,
    webhook_positions,
)

# Rows of events that one step looks at, of each node; nothing else is written to the journal meanwhile.
_WINDOW: Final = 5_000
# Of them, events that anybody wants.
_MOST: Final = 1_000
# Endpoints that are behind, whose own way is looked at in one step.
_BEHIND_AT_ONCE: Final = 20
_ALL: Final = ""
# Sources of events that a mail system's report tells (``gatepost_bounces``): RFC 3464, or a form of its own.
_REPORTS: Final = ("dsn", "flufl")
_GONE_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Filled:
    """What one step did. ``more``: there is more to do at once; ``behind``: endpoints on their own way."""

    added: int
    more: bool
    behind: int


@dataclass(slots=True)
class _Way:
    """How far all are, and those that are not that far; of each node the last sequence."""

    all: dict[int, int]
    own: dict[str, dict[int, int]] = field(default_factory=dict[str, dict[int, int]])


@dataclass(frozen=True, slots=True)
class _Read:
    """Events of a window, and how far it went; ``whole``: to the end of what there is."""

    rows: Sequence[Any]
    last: int
    whole: bool


def newest(connection: Connection) -> dict[int, int]:
    """Return the last sequence of each node."""
    last = select(func.max(events.c.sequence)).where(events.c.node == nodes.c.id).scalar_subquery()
    return {number: sequence or 0 for number, sequence in connection.execute(select(nodes.c.id, last))}


def fill(connection: Connection, targets: Sequence[Endpoint], now: datetime, *, room: int) -> Filled:
    """Put what is new into the outbox of those that want it. Within a transaction.

    ``targets``: the endpoints that are active; ``room``: events that may wait for each.
    """
    by_handle = {one.handle: one for one in targets}
    waiting, way = _prepared(connection, by_handle)
    ends = newest(connection)
    added, more = 0, False
    for node, last in ends.items():
        begin = way.all.setdefault(node, 0)
        here = [one for one in targets if node not in way.own.get(one.handle, {})]
        read = _window(connection, node, begin, last, here)
        full = {one.handle for one in here if waiting[one.handle] >= room}
        for handle in full & _wanted_by(read.rows, here):
            way.own.setdefault(handle, {})[node] = begin
            _set(connection, handle, node, begin)
        put = _put(connection, read.rows, [one for one in here if one.handle not in full], waiting, now)
        added, more = added + put, more or not read.whole
        if read.last > begin:
            way.all[node] = read.last
            _set(connection, _ALL, node, read.last)
    behind = [one for one in targets if way.own.get(one.handle)]
    for one in [one for one in behind if waiting[one.handle] < room][:_BEHIND_AT_ONCE]:
        put, left = _catch_up(connection, one, way, waiting, now)
        added, more = added + put, more or (left and waiting[one.handle] < room)
    return Filled(added, more, sum(bool(way.own.get(one.handle)) for one in targets))


def forget(connection: Connection, handle: str) -> bool:
    """Let go of some of what is kept of an endpoint that was removed; say whether that was all."""
    for table in (webhook_outbox, webhook_dead, webhook_attempts):
        some = select(table.c.id).where(table.c.endpoint == handle).limit(_GONE_AT_ONCE)
        if connection.execute(delete(table).where(table.c.id.in_(some))).rowcount == _GONE_AT_ONCE:
            return False
    for kept in (webhook_positions, webhook_endpoints):
        connection.execute(delete(kept).where(kept.c.endpoint == handle))
    return True


def _prepared(connection: Connection, targets: Mapping[str, Endpoint]) -> tuple[dict[str, int], _Way]:
    """Return how many events wait for each, and how far each is; those that are new begin here."""
    known = {row.endpoint: row for row in connection.execute(select(webhook_endpoints))}
    way = _Way({})
    for endpoint, node, sequence in connection.execute(select(webhook_positions)):
        if endpoint == _ALL:
            way.all[node] = sequence
        elif endpoint in targets:
            way.own.setdefault(endpoint, {})[node] = sequence
    new = [one for one in targets.values() if one.handle not in known or known[one.handle].since != one.since]
    ends = newest(connection)
    if len(new) == len(targets):  # nobody goes on from where all were
        way.all = dict(ends)
        for node, sequence in ends.items():
            _set(connection, _ALL, node, sequence)
    for one in new:
        _begin(connection, one, way, one.handle in known)
    waiting = {handle: known[handle].waiting if handle in known else 0 for handle in targets}
    return waiting, way


def _begin(connection: Connection, one: Endpoint, way: _Way, was_there: bool) -> None:
    """Begin with an endpoint that is new, or was enabled: with what is noted since."""
    if was_there:
        anew = {"since": one.since, "failures": 0, "failing_since": None}
        mine = webhook_endpoints.c.endpoint == one.handle
        connection.execute(update(webhook_endpoints).where(mine).values(**anew))
    else:
        # A test may have been asked for before it was seen here.
        waiting = select(func.count()).where(webhook_outbox.c.endpoint == one.handle).scalar_subquery()
        values = {"endpoint": one.handle, "since": one.since, "waiting": waiting}
        connection.execute(insert(webhook_endpoints).values(**values))
    connection.execute(delete(webhook_positions).where(webhook_positions.c.endpoint == one.handle))
    # No event is committed with a sequence below the milliseconds since 1970 of that moment.
    since = int(one.since.timestamp() * 1000)
    way.own[one.handle] = {node: since for node, sequence in way.all.items() if since < sequence}
    for node in way.own[one.handle]:
        _set(connection, one.handle, node, since)


def _catch_up(
    connection: Connection, one: Endpoint, way: _Way, waiting: dict[str, int], now: datetime
) -> tuple[int, bool]:
    """Go on with an endpoint that is behind; return what was put, and whether it still is behind."""
    added = 0
    for node, begin in list(way.own[one.handle].items()):
        end = way.all.get(node, 0)
        read = _window(connection, node, begin, end, [one])
        added += _put(connection, read.rows, [one], waiting, now)
        if read.last >= end:
            del way.own[one.handle][node]
            mine = (webhook_positions.c.endpoint == one.handle) & (webhook_positions.c.node == node)
            connection.execute(delete(webhook_positions).where(mine))
        else:
            way.own[one.handle][node] = read.last
            _set(connection, one.handle, node, read.last)
    return added, bool(way.own[one.handle])


def _window(connection: Connection, node: int, begin: int, end: int, targets: Sequence[Endpoint]) -> _Read:
    """Return the events of a node after ``begin``, to ``end`` at most, that some of the targets may want."""
    if begin >= end:
        return _Read((), begin, whole=True)
    of_node = (events.c.node == node) & (events.c.sequence > begin)
    beyond = select(events.c.sequence).where(of_node).order_by(events.c.sequence).offset(_WINDOW).limit(1)
    edge = connection.execute(beyond).scalar()
    last = end if edge is None else min(end, edge)
    accounts = sorted({one.account_id for one in targets})
    # One whose class became known later has a new sequence; ``revising`` notes that it went out before.
    new = events.c.detail["sent_as"].as_string().is_(None)
    wanted = of_node & (events.c.sequence <= last) & events.c.account_id.in_(accounts) & new
    source = events.c.detail["source"].as_string().label("source")
    columns = (
        events.c.sequence,
        events.c.id,
        events.c.message_id,
        events.c.account_id,
        events.c.type,
        source,
    )
    query = select(*columns).where(wanted).order_by(events.c.sequence).limit(_MOST)
    rows = connection.execute(query).all() if accounts else []
    if len(rows) == _MOST:
        last = rows[-1].sequence
    return _Read(rows, last, last >= end)


def _by_account(targets: Iterable[Endpoint]) -> dict[int, list[Endpoint]]:
    found: dict[int, list[Endpoint]] = {}
    for one in targets:
        found.setdefault(one.account_id, []).append(one)
    return found


def _wanted_by(rows: Sequence[Any], targets: Sequence[Endpoint]) -> set[str]:
    """Return the endpoints that some of the events are for."""
    of = _by_account(targets)
    return {one.handle for row in rows for one in of.get(row.account_id, ()) if _wants(one, row)}


def _wants(one: Endpoint, row: Any) -> bool:
    """Say whether an event is for an endpoint; some do not hear what reports tell of deliveries."""
    return one.wants(row.type, reported=row.source in _REPORTS)


def _put(
    connection: Connection,
    rows: Sequence[Any],
    targets: Sequence[Endpoint],
    waiting: dict[str, int],
    now: datetime,
) -> int:
    """Put events into the outbox; return how many are new there."""
    of = _by_account(targets)
    new = [
        {"endpoint": one.handle, "event_id": row.id, "message_id": row.message_id, "noted_at": now}
        for row in rows
        for one in of.get(row.account_id, ())
        if _wants(one, row)
    ]
    number = put(connection, new, now)
    for handle, count in number.items():
        waiting[handle] += count
    return sum(number.values())


def put_test(connection: Connection, endpoint: str, event_id: str, payload: str, now: datetime) -> None:
    """Have a test sent, which is tried once."""
    values = {"endpoint": endpoint, "event_id": event_id, "message_id": "", "payload": payload}
    connection.execute(insert(webhook_outbox).values(**values, noted_at=now, ready_at=now))
    mine = webhook_endpoints.c.endpoint == endpoint
    waiting = webhook_endpoints.c.waiting + 1
    connection.execute(update(webhook_endpoints).where(mine).values(waiting=waiting))


_MORE = (
    update(webhook_endpoints)
    .where(webhook_endpoints.c.endpoint == bindparam("of"))
    .values(waiting=webhook_endpoints.c.waiting + bindparam("more"))
)


def put(connection: Connection, new: Sequence[dict[str, Any]], now: datetime) -> dict[str, int]:
    """Put rows into the outbox, in their order; return how many are new there, by endpoint.

    Each may be tried at once unless an earlier one of its message waits there.
    """
    if not new:
        return {}
    messages = {(row["endpoint"], row["message_id"]) for row in new if row["message_id"]}
    busy = _busy(connection, messages)
    before = dict.fromkeys((row["endpoint"] for row in new), 0)
    there = _there(connection, [(row["endpoint"], row["event_id"]) for row in new])
    rows = []
    for row in new:
        key = (row["endpoint"], row["event_id"])
        if key in there:
            continue
        there.add(key)
        message = (row["endpoint"], row["message_id"])
        rows.append({**row, "ready_at": None if message in busy else now})
        if row["message_id"]:
            busy.add(message)
        before[row["endpoint"]] += 1
    if rows:
        connection.execute(insert(webhook_outbox), rows)
    more = [{"of": handle, "more": count} for handle, count in before.items() if count]
    if more:
        connection.execute(_MORE, more)
    return before


def _busy(connection: Connection, messages: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return of which of these messages something waits in the outbox."""
    key = tuple_(webhook_outbox.c.endpoint, webhook_outbox.c.message_id)
    return _found(connection, key, messages)


def _there(connection: Connection, wanted: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    key = tuple_(webhook_outbox.c.endpoint, webhook_outbox.c.event_id)
    return _found(connection, key, wanted)


def _found(connection: Connection, key: Any, wanted: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    listed = sorted(wanted)
    for first in range(0, len(listed), 500):
        part = listed[first : first + 500]
        query = select(*key.clauses).where(key.in_(part)).distinct()
        found |= {(one, other) for one, other in connection.execute(query)}
    return found


def _set(connection: Connection, endpoint: str, node: int, sequence: int) -> None:
    table = webhook_positions
    mine = (table.c.endpoint == endpoint) & (table.c.node == node)
    if not connection.execute(update(table).where(mine).values(sequence=sequence)).rowcount:
        connection.execute(insert(table).values(endpoint=endpoint, node=node, sequence=sequence))
