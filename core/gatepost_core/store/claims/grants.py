"""Grants of domains to other accounts, and whether walls are enforced; in the directory.

Functions on an open connection; the caller owns the transaction.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from gatepost_core.domain.errors import NotFound, StoreError, shown
from gatepost_core.domain.model import Grant, WallMode
from gatepost_core.domain.rules import normal_domain
from gatepost_core.store import accounts as account_rows
from gatepost_core.store import rows
from gatepost_core.store.schema import accounts, domain_grants, sender_domains, store_facts


def grant(connection: Connection, name: str, account: str, now: datetime, own: Collection[str] = ()) -> bool:
    """Let an account use a domain; says whether it could not before.

    ``own``: the gateway's names, which can be granted as well. Raises NotFound, StoreError for the owner.
    """
    host, to = normal_domain(name), account_rows.get(connection, account)
    row = connection.execute(select(sender_domains).where(sender_domains.c.name == host)).first()
    if row is None and host not in own:
        raise NotFound(
            f"no sender domain {shown(name)}, nor is it a name of the gateway's own; "
            "'gatepost domain list' shows all"
        )
    if row is not None and row.account_id == to.id:
        raise StoreError(f"account {shown(account)} owns {shown(host)}, and needs no grant")
    mine = (domain_grants.c.name == host) & (domain_grants.c.account_id == to.id)
    if connection.execute(select(domain_grants.c.id).where(mine)).first() is not None:
        return False
    connection.execute(insert(domain_grants).values(name=host, account_id=to.id, created_at=now))
    return True


def revoke(connection: Connection, name: str, account: str) -> None:
    """Take a grant back. Raises NotFound."""
    host, to = normal_domain(name), account_rows.get(connection, account)
    mine = (domain_grants.c.name == host) & (domain_grants.c.account_id == to.id)
    if not connection.execute(delete(domain_grants).where(mine)).rowcount:
        raise NotFound(f"{shown(host)} is not granted to account {shown(account)}")


def of(connection: Connection, name: str) -> tuple[Grant, ...]:
    """Return the grants of a domain, by the names of their accounts."""
    host = normal_domain(name)
    return tuple(every(connection, host).get(host, ()))


def every(connection: Connection, name: str | None = None) -> dict[str, list[Grant]]:
    """Return all grants, or those of one name, by the names granted."""
    query = select(domain_grants, accounts.c.name.label("account")).join(accounts).order_by(accounts.c.name)
    if name is not None:
        query = query.where(domain_grants.c.name == name)
    found: dict[str, list[Grant]] = {}
    for row in connection.execute(query):
        found.setdefault(row.name, []).append(rows.grant(row._mapping))
    return found


def of_nobody(connection: Connection) -> dict[str, list[str]]:
    """Return who was granted a name that no account registered: one of the gateway's own, now or once."""
    registered = set(connection.execute(select(sender_domains.c.name)).scalars())
    granted = every(connection).items()
    return {name: [one.account for one in found] for name, found in granted if name not in registered}


def forget(connection: Connection, name: str) -> None:
    """Remove all grants of a name."""
    connection.execute(delete(domain_grants).where(domain_grants.c.name == name))


def walls(connection: Connection) -> WallMode:
    """Return what the store says of walls."""
    query = select(store_facts.c.value).where(store_facts.c.name == "walls")
    value = connection.execute(query).scalar()
    return WallMode.ENFORCE if value is None else WallMode(value)


def set_walls(connection: Connection, mode: WallMode) -> None:
    """Have walls enforced from now on, or only reported."""
    fact = store_facts.c.name == "walls"
    if not connection.execute(update(store_facts).where(fact).values(value=mode.value)).rowcount:
        connection.execute(insert(store_facts).values(name="walls", value=mode.value))
