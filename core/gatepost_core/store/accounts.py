"""Accounts: the owners of credentials and domains.

Functions on an open connection of the directory; the caller owns the transaction.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from gatepost_core.domain.errors import Conflict, NotFound, StoreError, shown
from gatepost_core.domain.model import Account, Bounces
from gatepost_core.domain.rules.catalogue import stored
from gatepost_core.store.rows import bounces_in, limits_in, limits_out, own_thresholds_in, rules_in
from gatepost_core.store.schema import accounts, credentials, sender_domains
from gatepost_core.store.webhooks.tables import webhooks

KEEP_DAYS_MOST = 36_500
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def add(connection: Connection, name: str, now: datetime) -> Account:
    """Make an account. Raises StoreError for a name that cannot be used, Conflict for one that is taken."""
    if not _NAME.fullmatch(name):
        raise StoreError(
            f"account name {shown(name)} cannot be used; expected up to 64 letters, digits, '.', '_' or '-', "
            "beginning with a letter or digit"
        )
    try:
        result = connection.execute(insert(accounts).values(name=name, created_at=now))
    except IntegrityError as error:
        raise Conflict(f"account {shown(name)} exists already") from error
    return Account(_new_id(result.inserted_primary_key), name, now)


def get(connection: Connection, name: str) -> Account:
    """Return an account by name. Raises NotFound."""
    row = connection.execute(select(accounts).where(accounts.c.name == name)).first()
    if row is None:
        raise NotFound(f"no account {shown(name)}; 'gatepost account list' shows all")
    return _account(row)


def list_all(connection: Connection) -> list[Account]:
    """Return all accounts by name."""
    rows = connection.execute(select(accounts).order_by(accounts.c.name))
    return [_account(row) for row in rows]


def page(connection: Connection, limit: int, after: str = "") -> list[Account]:
    """Return at most ``limit`` accounts by name, those after a name."""
    query = select(accounts).where(accounts.c.name > after).order_by(accounts.c.name).limit(limit)
    return [_account(row) for row in connection.execute(query)]


def change(connection: Connection, name: str, **changes: Any) -> Account:
    """Set ``limits`` of all an account's credentials together, its ``time_zone``, ``route``, ``rules`` below
    theirs, ``suspension``, ``bounces``, ``image_quota`` (bytes), or ``keep_days`` (0: for good).

    None: as the settings say, no route, or events alone. Raises NotFound, StoreError for days that cannot be
    kept.
    """
    account = get(connection, name)
    days = changes.get("keep_days")
    if days is not None and not 0 <= days <= KEEP_DAYS_MOST:
        raise StoreError(f"{days} days cannot be kept; expected 0 (for good) to {KEEP_DAYS_MOST}")
    if "limits" in changes:
        changes["limits"] = limits_out(changes["limits"])
    if "rules" in changes:
        changes["rules"] = stored(changes["rules"]) or None
    if "suspension" in changes:
        changes["suspension"] = changes["suspension"].stored() or None
    if changes.get("bounces") is not None:
        changes["bounces"] = Bounces(changes["bounces"]).value
    if changes:
        connection.execute(update(accounts).where(accounts.c.id == account.id).values(changes))
    return get(connection, name)


def remove(connection: Connection, name: str) -> Account:
    """Remove an account that owns nothing any more, and return it. Raises NotFound, Conflict."""
    account = get(connection, name)
    owned = ((credentials, "credentials"), (sender_domains, "sender domains"), (webhooks, "webhooks"))
    for table, what in owned:
        if connection.execute(select(table.c.id).where(table.c.account_id == account.id)).first():
            raise Conflict(f"account {shown(name)} still has {what}; remove them first")
    connection.execute(delete(accounts).where(accounts.c.id == account.id))
    return account


def _account(row: Row[Any]) -> Account:
    return Account(
        row.id,
        row.name,
        row.created_at,
        row.image_quota,
        row.keep_days,
        limits=limits_in(row.limits),
        time_zone=row.time_zone or "",
        rules=rules_in(row.rules or {}),
        route=row.route or "",
        suspension=own_thresholds_in(row.suspension or {}),
        bounces=bounces_in(row.bounces),
    )


def _new_id(key: object) -> int:
    return int(key[0])  # type: ignore[index]  # SQLAlchemy types the row as possibly absent
