"""Users of the dashboard in the directory: names, roles, passwords, second factors, one-time links.

Functions on an open connection; the caller owns the transaction. What is secret comes hashed or sealed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select, true, update
from sqlalchemy.exc import IntegrityError

from gatepost_core.domain.access import Role
from gatepost_core.domain.access.users import User, checked_name
from gatepost_core.domain.errors import Conflict, NotFound, StoreError, shown
from gatepost_core.store import accounts as account_rows
from gatepost_core.store.access.user_tables import user_links, user_recovery, user_roles, user_sessions, users
from gatepost_core.store.schema import accounts


def add(
    connection: Connection,
    name: str,
    now: datetime,
    *,
    operator: bool = False,
    roles: Mapping[str, Role] | None = None,
) -> User:
    """Make a user without a password. Raises StoreError for the name, Conflict, NotFound for an account."""
    if not operator and not roles:
        raise StoreError(
            f"user {shown(name)} could see nothing; give a role in an account, or make an operator"
        )
    values = {"name": checked_name(name), "operator": operator, "enabled": True, "created_at": now}
    try:
        key = connection.execute(insert(users).values(values)).inserted_primary_key
    except IntegrityError as error:
        raise Conflict(f"user {shown(name)} exists already") from error
    number = int(key[0])  # type: ignore[index]  # an INSERT has one
    for account, role in (roles or {}).items():
        set_role(connection, number, account, role)
    return by_id(connection, number)


def get(connection: Connection, name: str) -> User:
    """Return a user by name. Raises NotFound."""
    found = _read(connection, users.c.name == name.lower())
    if not found:
        raise NotFound(f"no user {shown(name)}; 'gatepost user list' shows all")
    return found[0]


def by_id(connection: Connection, number: int) -> User:
    """Return a user by number. Raises NotFound."""
    found = _read(connection, users.c.id == number)
    if not found:
        raise NotFound(f"no user with the number {number}")
    return found[0]


def list_all(connection: Connection) -> list[User]:
    """Return all users by name."""
    return _read(connection, true())


def kept_of(connection: Connection, name: str) -> tuple[User, str | None, bytes | None] | None:
    """Return a user with password hash and sealed second factor, None where there is none of the name."""
    query = select(users.c.password_hash, users.c.sealed_totp, users.c.id).where(users.c.name == name.lower())
    row = connection.execute(query).first()
    return None if row is None else (by_id(connection, row.id), row.password_hash, row.sealed_totp)


def change(connection: Connection, number: int, **changes: Any) -> User:
    """Set ``operator``, ``enabled``, ``password_hash`` or ``seen_at``. Raises NotFound.

    A new password ends the link by which one is chosen, and so does disabling.
    """
    if changes:
        connection.execute(update(users).where(users.c.id == number).values(changes))
    if "password_hash" in changes or changes.get("enabled") is False:
        connection.execute(delete(user_links).where(user_links.c.user_id == number))
    return by_id(connection, number)


@dataclass(frozen=True, slots=True)
class Proof:
    """What a user signs in by: the password's hash, the sealed second factor, and whether that is allowed."""

    password_hash: str | None
    sealed_totp: bytes | None
    enabled: bool


def hold(connection: Connection, number: int) -> Proof | None:
    """Return what a user signs in by, which nobody changes until this commits; None: the user is gone.

    Whoever changes them has this row first, so that what follows of them here is seen there.
    """
    query = select(users.c.password_hash, users.c.sealed_totp, users.c.enabled)
    row = connection.execute(query.where(users.c.id == number).with_for_update()).first()
    return None if row is None else Proof(*row)


def unchanged(connection: Connection, number: int, hash_: str | None, sealed: bytes | None) -> bool:
    """Say whether a user is enabled, and password and second factor are still these; they are held."""
    return hold(connection, number) == Proof(hash_, sealed, enabled=True)


def set_role(connection: Connection, number: int, account: str, role: Role | None) -> None:
    """Give a user a role in an account in place of what it has; None: none. Raises NotFound."""
    owner = account_rows.get(connection, account).id
    mine = (user_roles.c.user_id == number) & (user_roles.c.account_id == owner)
    connection.execute(delete(user_roles).where(mine))
    if role is not None:
        values = {"user_id": number, "account_id": owner, "role": role.value}
        connection.execute(insert(user_roles).values(values))


def remove(connection: Connection, number: int) -> None:
    """Remove a user with all that belongs to it."""
    for table in (user_sessions, user_links, user_recovery, user_roles):
        connection.execute(delete(table).where(table.c.user_id == number))
    connection.execute(delete(users).where(users.c.id == number))


def set_totp(
    connection: Connection, number: int, sealed: bytes | None, step: int, recovery: Iterable[bytes] = ()
) -> None:
    """Set a user's second factor, and the digests of its recovery codes; None: there is none any more."""
    values = {"sealed_totp": sealed, "totp_step": step}
    connection.execute(update(users).where(users.c.id == number).values(values))
    connection.execute(delete(user_recovery).where(user_recovery.c.user_id == number))
    rows = [{"user_id": number, "digest": digest} for digest in recovery]
    if rows:
        connection.execute(insert(user_recovery), rows)


def totp_of(connection: Connection, number: int) -> tuple[bytes | None, int]:
    """Return a user's sealed second factor, and the step of the last code that counted."""
    row = connection.execute(
        select(users.c.sealed_totp, users.c.totp_step).where(users.c.id == number)
    ).first()
    return (None, 0) if row is None else (row.sealed_totp, row.totp_step)


def count_step(connection: Connection, number: int, step: int) -> bool:
    """Note that a code of a step counts; False: one of this step or a later one has counted already."""
    fresh = (users.c.id == number) & (users.c.totp_step < step)
    return connection.execute(update(users).where(fresh).values(totp_step=step)).rowcount == 1


def use_recovery(connection: Connection, number: int, digest: bytes) -> bool:
    """Use a recovery code up; False: it is none, or was used."""
    code = (user_recovery.c.user_id == number) & (user_recovery.c.digest == digest)
    return connection.execute(delete(user_recovery).where(code)).rowcount == 1


def recovery_left(connection: Connection, number: int) -> int:
    """Return how many recovery codes a user has left."""
    return len(
        connection.execute(select(user_recovery.c.digest).where(user_recovery.c.user_id == number)).all()
    )


def set_link(connection: Connection, number: int, digest: bytes, ends_at: datetime) -> None:
    """Have a link by which the user chooses a password; earlier ones are good no more."""
    hold(connection, number)  # of two at once, one is the newer
    connection.execute(delete(user_links).where(user_links.c.user_id == number))
    connection.execute(insert(user_links).values(digest=digest, user_id=number, ends_at=ends_at))


def of_link(connection: Connection, digest: bytes, now: datetime) -> User | None:
    """Return whose link it is, None where it is none, or good no more."""
    good = (user_links.c.digest == digest) & (user_links.c.ends_at > now)
    number = connection.execute(select(user_links.c.user_id).where(good)).scalar()
    return None if number is None else by_id(connection, number)


def use_link(connection: Connection, digest: bytes) -> bool:
    """Use a link up; False: somebody did so before."""
    return connection.execute(delete(user_links).where(user_links.c.digest == digest)).rowcount == 1


def _read(connection: Connection, condition: ColumnElement[bool]) -> list[User]:
    rows = connection.execute(select(users).where(condition).order_by(users.c.name)).all()
    query = select(user_roles.c.user_id, accounts.c.name, user_roles.c.role).join(accounts)
    roles: dict[int, dict[str, Role]] = {row.id: {} for row in rows}
    for number, account, role in connection.execute(query.order_by(accounts.c.name)):
        if number in roles:
            roles[number][account] = Role(role)
    return [_user(row, roles[row.id]) for row in rows]


def _user(row: Row[Any], roles: Mapping[str, Role]) -> User:
    return User(
        row.id,
        row.name,
        row.created_at,
        row.operator,
        row.enabled,
        roles,
        row.password_hash is not None,
        row.sealed_totp is not None,
        row.seen_at,
    )
