"""Warnings and suspensions of credentials: read, and lifted by hand.

Functions on an open connection of the directory; the caller owns the transaction. They are made by
``sqlite.suspending``.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select, update

from gatepost_core.domain.limits.suspending import Action, Suspension
from gatepost_core.domain.model import Credential, State
from gatepost_core.store import rows
from gatepost_core.store.credentials.tables import suspensions
from gatepost_core.store.schema import credentials

BY_MOST: Final = 160
_AT_ONCE: Final = 500


def standing(connection: Connection, of: Iterable[int]) -> dict[int, rows.Row]:
    """Return the rows of suspensions that were not lifted, by the credential's id."""
    numbers, found = list(of), dict[int, rows.Row]()
    for at in range(0, len(numbers), _AT_ONCE):
        query = select(suspensions).where(
            suspensions.c.credential_id.in_(numbers[at : at + _AT_ONCE]),
            suspensions.c.action == Action.SUSPENDED.value,
            suspensions.c.lifted_at.is_(None),
        )
        for row in connection.execute(query.order_by(suspensions.c.id)):
            found[row.credential_id] = row._mapping
    return found


def suspended(connection: Connection) -> list[tuple[str, Suspension]]:
    """Return who is suspended now, by user name, the newest first."""
    query = select(suspensions, credentials.c.username).join(credentials).order_by(suspensions.c.id.desc())
    stands = suspensions.c.lifted_at.is_(None) & (suspensions.c.action == Action.SUSPENDED.value)
    found = connection.execute(query.where(stands, credentials.c.state != State.ACTIVE.value))
    return list({row.username: (row.username, rows.suspension(row._mapping)) for row in found}.values())


def history(connection: Connection, credential: Credential) -> list[Suspension]:
    """Return all warnings and suspensions of a credential, the newest first."""
    query = select(suspensions).where(suspensions.c.credential_id == credential.id)
    found = connection.execute(query.order_by(suspensions.c.id.desc()))
    return [rows.suspension(row._mapping) for row in found]


def lift(connection: Connection, credential: Credential, now: datetime, by: str) -> list[Suspension]:
    """Lift what stands of a credential, and return it. What is counted of it begins anew."""
    stands = [one for one in history(connection, credential) if one.lifted_at is None]
    mine = (suspensions.c.credential_id == credential.id) & suspensions.c.lifted_at.is_(None)
    connection.execute(update(suspensions).where(mine).values(lifted_at=now, lifted_by=by[:BY_MOST]))
    return stands
