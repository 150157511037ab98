"""Sender domains and their DKIM keys in the directory.

Functions on an open connection; the caller owns the transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from gatepost_core.domain.errors import Conflict, NotFound, StoreError, shown
from gatepost_core.domain.model import SenderDomain
from gatepost_core.domain.rules import normal_domain
from gatepost_core.domain.rules.patterns import host as host_name
from gatepost_core.domain.texts import stamp
from gatepost_core.domain.walls.registering import Registry, public_suffix
from gatepost_core.keys.dkim_keys import NewKey
from gatepost_core.store import accounts as account_rows
from gatepost_core.store import rows
from gatepost_core.store.claims import click_hosts, grants
from gatepost_core.store.schema import accounts, dkim_keys, sender_domains

_SELECT = select(sender_domains, accounts.c.name.label("account")).join(accounts)


def add(
    connection: Connection,
    *,
    account: str,
    name: str,
    click_domain: str,
    bounce_domain: str,
    keys: Iterable[NewKey],
    now: datetime,
) -> SenderDomain:
    """Register a domain. Raises StoreError for a name that cannot be registered, NotFound, Conflict.

    Conflict too for names that would stand against another account's (``walls.registering``).
    """
    owner = account_rows.get(connection, account)
    hosts = [
        _registrable(host, what)
        for host, what in (
            (name, "sender domain"),
            (click_domain, "click domain"),
            (bounce_domain, "bounce domain"),
        )
    ]
    if hosts[2] == hosts[0]:
        raise StoreError(
            f"the bounce domain must not be the sender domain {shown(hosts[0])} itself, "
            "or replies would go to the bounce intake; a name below it serves"
        )
    _check_clashes(connection, SenderDomain(0, owner.id, owner.name, hosts[0], hosts[1], hosts[2], now))
    click_hosts.check(connection, hosts, owner.id)
    try:
        result = connection.execute(
            insert(sender_domains).values(
                account_id=owner.id,
                name=hosts[0],
                click_domain=hosts[1],
                bounce_domain=hosts[2],
                created_at=now,
            )
        )
    except IntegrityError as error:
        raise Conflict(f"sender domain {shown(hosts[0])} exists already") from error
    click_hosts.use(connection, hosts[1], owner.id, now)
    domain_id = result.inserted_primary_key[0]  # type: ignore[index]  # an INSERT has one
    _insert_keys(connection, domain_id, keys, now, None)
    return get(connection, hosts[0])


def set_click_domain(connection: Connection, name: str, host: str, now: datetime) -> SenderDomain:
    """Give a domain another click domain; the old one is retired. Raises NotFound, StoreError, Conflict."""
    domain = get(connection, name)
    new = replace(domain, click_domain=_registrable(host, "click domain"))
    clashes = Registry(registrations(connection)).clashes(new)
    if clashes:
        raise Conflict(f"{clashes[0]}; choose another name")
    click_hosts.check(connection, [new.click_domain], domain.account_id)
    values = {"click_domain": new.click_domain}
    connection.execute(update(sender_domains).where(sender_domains.c.id == domain.id).values(values))
    click_hosts.use(connection, new.click_domain, domain.account_id, now)
    if domain.click_domain != new.click_domain:
        click_hosts.release(connection, domain.click_domain, now)
    return new


def rotate(
    connection: Connection,
    name: str,
    *,
    keys: Iterable[NewKey],
    now: datetime,
    activates_at: datetime,
    retires_at: datetime,
) -> SenderDomain:
    """Give a domain new keys that sign from ``activates_at`` on; those it has retire at ``retires_at``.

    Keys that retired before are deleted, private halves and all. Raises NotFound, and Conflict while new
    keys of an earlier rotation do not sign yet.
    """
    domain = get(connection, name)
    for key in domain.keys:
        if key.activates_at is not None and key.activates_at > now:
            raise Conflict(
                f"{domain.name} is being rotated already: key {key.selector} signs from "
                f"{stamp(key.activates_at)} on; rotate again after that"
            )
    table = dkim_keys.c
    mine = table.domain_id == domain.id
    connection.execute(delete(dkim_keys).where(mine, table.retires_at <= now))
    connection.execute(
        update(dkim_keys)
        .where(mine, (table.retires_at.is_(None)) | (table.retires_at > retires_at))
        .values(retires_at=retires_at)
    )
    _insert_keys(connection, domain.id, keys, now, activates_at)
    return get(connection, domain.name)


def _insert_keys(
    connection: Connection,
    domain_id: int,
    keys: Iterable[NewKey],
    now: datetime,
    activates_at: datetime | None,
) -> None:
    for key in keys:
        connection.execute(
            insert(dkim_keys).values(
                domain_id=domain_id,
                selector=key.selector,
                algorithm=key.algorithm,
                public=key.public,
                sealed_private=key.sealed_private,
                created_at=now,
                activates_at=activates_at,
            )
        )


def checked(host: str, what: str) -> str:
    """Return a host name in lower-case A-labels. Raises StoreError, naming it, when it is none."""
    normal = normal_domain(host)
    if not host_name(normal):
        raise StoreError(f"{what} {shown(host)} is not a host name; expected something like 'example.com'")
    return normal


def _registrable(host: str, what: str) -> str:
    """Return a host name that an account may own. Raises StoreError."""
    normal = checked(host, what)
    if public_suffix(normal):
        raise StoreError(
            f"{what} {shown(normal)} is a public suffix: names below it belong to different people; "
            f"expected a name below it, such as 'example.{normal}'"
        )
    return normal


def _check_clashes(connection: Connection, domain: SenderDomain) -> None:
    others = registrations(connection)
    clashes = Registry(others).clashes(domain)
    if clashes and all(other.name != domain.name for other in others):
        raise Conflict(
            f"{clashes[0]}; choose another name, or share that domain first: 'gatepost domain grant'"
        )


def get(connection: Connection, name: str) -> SenderDomain:
    """Return a domain with its keys. Raises NotFound."""
    found = find(connection, name)
    if found is None:
        raise NotFound(f"no sender domain {shown(name)}; 'gatepost domain list' shows all")
    return found


def find(connection: Connection, name: str) -> SenderDomain | None:
    """Return a domain with its keys, oldest key first, or None."""
    row = connection.execute(_SELECT.where(sender_domains.c.name == normal_domain(name))).first()
    return None if row is None else _domain(connection, row)


def list_all(connection: Connection, account: str | None = None) -> list[SenderDomain]:
    """Return all domains, or those of one account, by name."""
    query = _SELECT.order_by(sender_domains.c.name)
    if account is not None:
        query = query.where(sender_domains.c.account_id == account_rows.get(connection, account).id)
    return [_domain(connection, row) for row in connection.execute(query).all()]


def registrations(connection: Connection) -> list[SenderDomain]:
    """Return all domains with their grants and without their keys, in one go however many they are."""
    granted = grants.every(connection)
    return [rows.domain(row._mapping, (), granted.get(row.name, ())) for row in connection.execute(_SELECT)]


def bounce_domains(connection: Connection) -> list[str]:
    """Return the names at which bounces arrive, each once."""
    column = sender_domains.c.bounce_domain
    return list(connection.execute(select(column).distinct().order_by(column)).scalars())


def remove(connection: Connection, name: str, now: datetime | None = None) -> SenderDomain:
    """Remove a domain, its keys and its grants, and retire its click domain, now or then. Raises NotFound."""
    domain = get(connection, name)
    grants.forget(connection, domain.name)
    connection.execute(delete(dkim_keys).where(dkim_keys.c.domain_id == domain.id))
    connection.execute(delete(sender_domains).where(sender_domains.c.id == domain.id))
    click_hosts.release(connection, domain.click_domain, now or datetime.now(UTC))
    return domain


def _domain(connection: Connection, row: Row[Any]) -> SenderDomain:
    keys = connection.execute(
        select(dkim_keys).where(dkim_keys.c.domain_id == row.id).order_by(dkim_keys.c.id)
    )
    return rows.domain(row._mapping, [key._mapping for key in keys], grants.of(connection, row.name))
