"""Last use of each credential, as the journal has it: gatepost-events writes it, a second late at most."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from gatepost_core.store.schema import credential_usage


class Usage(NamedTuple):
    """When a credential was last used, and from which address."""

    at: datetime
    ip: str


def read(connection: Connection) -> dict[int, Usage]:
    """Return the last use of every credential that was ever used, by credential id."""
    rows = connection.execute(select(credential_usage))
    return {row.credential_id: Usage(row.last_used_at, row.last_used_ip) for row in rows}


def of(connection: Connection, credential_id: int) -> Usage | None:
    """Return the last use of one credential, None when it never was."""
    query = select(credential_usage).where(credential_usage.c.credential_id == credential_id)
    row = connection.execute(query).first()
    return None if row is None else Usage(row.last_used_at, row.last_used_ip)


def of_many(connection: Connection, credential_ids: Sequence[int]) -> dict[int, Usage]:
    """Return the last use of those of some credentials that were ever used, by credential id."""
    query = select(credential_usage).where(credential_usage.c.credential_id.in_(credential_ids))
    rows = connection.execute(query)
    return {row.credential_id: Usage(row.last_used_at, row.last_used_ip) for row in rows}
