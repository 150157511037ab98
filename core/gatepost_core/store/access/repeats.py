"""What was asked for with an idempotency key, in the directory: made once, in the transaction of the change.

Only where the thing is that was made is kept, nothing of what was answered: a password is in no answer twice.
Functions on an open connection; the caller owns the transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select

from gatepost_core.domain.errors import Conflict, StoreError, shown
from gatepost_core.store.access.tables import idempotency_keys as table

KEPT: Final = timedelta(hours=24)
# Of one actor, in that time.
KEYS_MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class Once:
    """Whose key it is (``KIND:ID``), the key, and a hash of all that was asked for."""

    actor: str
    key: str
    digest: bytes


class Repeated(Conflict):
    """It was done already. ``location``: where the thing is that was made."""

    def __init__(self, location: str) -> None:
        super().__init__(
            "this was done already, with the same Idempotency-Key; what is answered once (a password) is not "
            "answered again"
        )
        self.location = location


class TooManyKeys(StoreError):  # noqa: N818 - reads as what it says
    """An actor has used so many keys that no other can be kept now."""


def look(connection: Connection, once: Once, now: datetime) -> None:
    """See that a key is new; let go of keys that are a day old.

    Raises Repeated where it was used for the same, Conflict where it was used for something else,
    TooManyKeys.
    """
    connection.execute(delete(table).where(table.c.made_at < now - KEPT))
    mine = table.c.actor == once.actor
    row = connection.execute(select(table).where(mine, table.c.key == once.key)).first()
    if row is not None:
        if row.digest == once.digest:
            raise Repeated(row.location)
        raise Conflict(
            f"the Idempotency-Key {shown(once.key)} was used for another request; use a new one for each"
        )
    number = connection.execute(select(func.count()).select_from(table).where(mine)).scalar_one()
    if number >= KEYS_MOST:
        raise TooManyKeys(f"{KEYS_MOST} idempotency keys were used within a day; send no key, or wait")


def keep(connection: Connection, once: Once, location: str, now: datetime) -> None:
    """Keep a key with where the thing is that was made under it."""
    values = {"actor": once.actor, "key": once.key, "digest": once.digest}
    connection.execute(insert(table).values(**values, location=location, made_at=now))
