"""Hosts of rewritten links, and whose they are; in the directory.

A host that is no click domain any more is *retired*: links in mail that was sent lead there for years, so it
is still answered, and no other account can have it. Functions on an open connection; the caller owns the
transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select, update

from gatepost_core.domain.errors import Conflict, NotFound, shown
from gatepost_core.domain.rules import normal_domain
from gatepost_core.store.schema import accounts, click_hosts, sender_domains


@dataclass(frozen=True, slots=True)
class ClickHost:
    """A host that answers links. ``retired_at``: since when new links no longer get it."""

    host: str
    account_id: int
    account: str
    retired_at: datetime | None = None


def find(connection: Connection, host: str) -> ClickHost | None:
    """Return whose links a host answers, None for a host that answers none."""
    row = connection.execute(_select().where(click_hosts.c.host == normal_domain(host))).first()
    return None if row is None else _host(row)


def retired(connection: Connection, account_id: int) -> list[ClickHost]:
    """Return an account's retired hosts, by name."""
    query = _select().where(click_hosts.c.account_id == account_id, click_hosts.c.retired_at.is_not(None))
    return [_host(row) for row in connection.execute(query.order_by(click_hosts.c.host))]


def check(connection: Connection, names: Iterable[str], account_id: int) -> None:
    """Raise Conflict for a name that is another account's retired host (in use: ``walls.registering``)."""
    for name in names:
        known = find(connection, name)
        if known is not None and known.retired_at is not None and known.account_id != account_id:
            raise Conflict(
                f"{shown(known.host)} was a click domain of account {shown(known.account)}, and links in its "
                "mail still lead there; choose another name, or give them up: "
                f"'gatepost domain forget-links {known.host}'"
            )


def use(connection: Connection, host: str, account_id: int, now: datetime) -> None:
    """Note that a host is a click domain of an account (again)."""
    known = find(connection, host)
    if known is None:
        values = {"host": host, "account_id": account_id, "created_at": now}
        connection.execute(insert(click_hosts).values(values))
    elif known.retired_at is not None:
        connection.execute(update(click_hosts).where(click_hosts.c.host == host).values(retired_at=None))


def release(connection: Connection, host: str, now: datetime) -> bool:
    """Retire a host that no sender domain names any more; says whether it was."""
    if connection.execute(select(sender_domains.c.id).where(sender_domains.c.click_domain == host)).first():
        return False
    connection.execute(update(click_hosts).where(click_hosts.c.host == host).values(retired_at=now))
    return True


def forget(connection: Connection, host: str) -> ClickHost:
    """Give up a retired host: its links lead nowhere, and any account may have it. Raises StoreError."""
    known = find(connection, host)
    if known is None:
        raise NotFound(f"{shown(host)} answers no links; 'gatepost domain show' names the retired ones")
    if known.retired_at is None:
        raise Conflict(
            f"{shown(known.host)} is the click domain of a sender domain; change or remove that first"
        )
    connection.execute(delete(click_hosts).where(click_hosts.c.host == known.host))
    return known


def _select() -> Select[Any]:
    return select(click_hosts, accounts.c.name.label("account")).join(accounts)


def _host(row: Row[Any]) -> ClickHost:
    return ClickHost(row.host, row.account_id, row.account, row.retired_at)
