"""The audit log in the directory: who changed what, written in the transaction of the change.

Functions on an open connection; the caller owns the transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select

from gatepost_core.domain import ids
from gatepost_core.domain.access import Actor
from gatepost_core.domain.texts import bounded
from gatepost_core.store import paging
from gatepost_core.store.access.tables import audit
from gatepost_core.store.paging import Leading, Page, Search

# With each new entry, so many that are older than they are kept go.
_GO: Final = 20
_NAME, _OBJECT = 255, 320


@dataclass(frozen=True, slots=True)
class Entry:
    """What was done. ``actor_kind``: node, token, user; ``account`` '': the gateway's own object."""

    id: str
    actor_kind: str
    actor_id: str
    actor: str
    address: str
    account: str
    action: str
    object: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None

    @property
    def at(self) -> datetime:
        """When."""
        return ids.time_of(self.id)


def note(  # noqa: PLR0913 - each with a name
    connection: Connection,
    actor: Actor,
    now: datetime,
    *,
    keep: timedelta,
    action: str,
    account: str | None,
    name: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write an entry, and let go of some that are older than ``keep``."""
    old = select(audit.c.id).where(audit.c.id < paging.since(now - keep)).order_by(audit.c.id).limit(_GO)
    connection.execute(delete(audit).where(audit.c.id.in_(old)))
    connection.execute(
        insert(audit).values(
            id=ids.new(int(now.timestamp() * 1000)),
            actor_kind=actor.kind.value,
            actor_id=actor.id,
            actor=bounded(actor.name, _NAME),
            address=actor.address,
            account=account or "",
            action=action,
            object=bounded(name, _OBJECT),
            before=None if before is None else dict(before),
            after=None if after is None else dict(after),
        )
    )


def page(
    connection: Connection,
    account: str | None,
    limit: int,
    cursor: str = "",
    *,
    name: str = "",
    since: datetime | None = None,
) -> Page[Entry]:
    """Return the newest entries, of one account's objects if it is named, and where to go on.

    ``name``: of that object alone. ``since``: no older ones.
    """
    condition = None if account is None else audit.c.account == account
    rest = (audit.c.object == name,) if name else ()
    leading = Leading(audit.c.id, condition)
    search = Search(tuple(audit.c), audit.c.id, leading, rest, first=paging.since(since))
    found = paging.page(connection, search, limit, cursor)
    return Page([_entry(row) for row in found.items], found.cursor, found.stopped)


def _entry(row: Row[Any]) -> Entry:
    return Entry(**row._asdict())
