"""How far the store has taken the spool of this node: what was accepted, and is in no list yet.

Whoever reads right after something was sent notes where the spool ends (``spool.ends``), waits here until the
store has that much, and tells what is missing if it never does (``spool.beyond``).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, select

from gatepost_core.spool import HEAD_SIZE, Ends
from gatepost_core.store.schema import log_positions, nodes, positions

_LOOK_SECONDS: Final = 0.02
_AT_ONCE: Final = 500


class Log(NamedTuple):
    """How far a node has read its mail log: when, the last line's time, and lines that are missing."""

    node: str
    read_at: datetime
    line_at: datetime | None
    lost: int
    lost_at: datetime | None


def logs(connection: Connection) -> list[Log]:
    """Return how far each node has read its mail log."""
    columns = [log_positions.c[name] for name in ("read_at", "line_at", "lost", "lost_at")]
    query = select(nodes.c.name, *columns).join(nodes, nodes.c.id == log_positions.c.node)
    return [Log(*row) for row in connection.execute(query.order_by(nodes.c.name))]


def taken(connection: Connection, until: Ends) -> Ends:
    """Return how far the store has taken these segments, whose ids are their own on every node."""
    found: dict[str, dict[bytes, int]] = {}
    for stream, segments in until.items():
        names = [number.hex() for number in segments]
        for at in range(0, len(names), _AT_ONCE):
            query = select(positions.c.segment, positions.c.offset, positions.c.finished).where(
                positions.c.node.in_(select(nodes.c.id)),
                positions.c.stream == stream,
                positions.c.segment.in_(names[at : at + _AT_ONCE]),
            )
            has = found.setdefault(stream, {})
            for row in connection.execute(query):
                number = bytes.fromhex(row.segment)
                # What stands behind the end of a finished one was torn, and is nobody's.
                has[number] = segments[number] if row.finished else row.offset
    return found


def waited(
    connection: Connection,
    until: Ends,
    patience: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Ends:
    """Wait until the store has all up to ``until``, for ``patience`` seconds at most; return what it has.

    ``connection`` must see what others commit meanwhile.
    """
    over = clock() + patience
    while True:
        found = taken(connection, until)
        if reaches(found, until) or clock() >= over:
            return found
        sleep(_LOOK_SECONDS)


def reaches(has: Ends, until: Ends) -> bool:
    """Say whether positions are as far as the ends of all segments."""
    return all(
        has.get(stream, {}).get(number, HEAD_SIZE) >= end
        for stream, segments in until.items()
        for number, end in segments.items()
    )
