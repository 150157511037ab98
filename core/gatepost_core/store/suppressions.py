"""Suppressions in the directory: lists of them, and what somebody enters or lifts.

Functions on an open connection; the caller owns the transaction. What events suppress is written by
``sqlite.suppressing``; ``domain.suppressing`` says what they mean.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select, update

from gatepost_core.domain import ids
from gatepost_core.domain.errors import NotFound, shown
from gatepost_core.domain.suppressing import Reason, Scope, Suppression, hashed, keys, merged
from gatepost_core.store import accounts as account_rows
from gatepost_core.store import paging, rows
from gatepost_core.store.paging import Leading, Page, Search, Walk
from gatepost_core.store.schema import accounts, suppressions

_COLUMNS = (suppressions, accounts.c.name.label("account"))
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Listed:
    """A suppression and the name of its account."""

    account: str
    suppression: Suppression

    @property
    def id(self) -> str:
        """Its place in lists."""
        return self.suppression.id


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which suppressions are asked for; '' and None ask for nothing. ``address``: what would match it.

    ``since``, ``until``: when it was noted. Lifted ones are left out unless ``removed``.
    """

    account: str = ""
    address: str = ""
    reason: Reason | None = None
    scope: Scope | None = None
    since: datetime | None = None
    until: datetime | None = None
    removed: bool = False


def page(
    connection: Connection, wanted: Wanted, limit: int, cursor: str = "", *, patience: float = paging.PATIENCE
) -> Page[Listed]:
    """Return the newest that are asked for, at most ``limit``, and where to go on. Raises NotFound."""
    found = paging.page(connection, _search(connection, wanted), limit, cursor, patience=patience)
    numbers = [row[0] for row in found.items]
    query = select(*_COLUMNS).join(accounts).where(suppressions.c.id.in_(numbers))
    by_id = {row.id: _listed(row) for row in connection.execute(query)}
    return Page([by_id[one] for one in numbers if one in by_id], found.cursor, found.stopped)


def walk(connection: Connection, wanted: Wanted, limit: int, cursor: str = "") -> Walk[Listed]:
    """Return the newest that are asked for, at most ``limit``, as they are found."""
    return Walk(partial(page, connection, wanted), limit, cursor)


def each(connection: Connection, wanted: Wanted) -> Iterator[Listed]:
    """Yield all that are asked for, the newest first, however long it takes."""
    return iter(Walk(partial(page, connection, wanted, patience=math.inf), sys.maxsize))


def matching(connection: Connection, address: str, account: str = "") -> list[Listed]:
    """Return all that is known of an address, also of its domain, lifted ones too: the newest first.

    Of one account, or of all. Raises NotFound for an account.
    """
    # Account by account, as the index has them: addresses of all together have none.
    of = select(accounts.c.id)
    if account:
        of = of.where(accounts.c.id == account_rows.get(connection, account).id)
    matches = suppressions.c.account_id.in_(of) & suppressions.c.address.in_(keys(address))
    query = select(*_COLUMNS).join(accounts).where(matches)
    found = connection.execute(query.order_by(suppressions.c.id.desc()))
    return [_listed(row) for row in found]


def of_id(connection: Connection, number: str) -> Listed | None:
    """Return the one that has an id, or None."""
    query = select(*_COLUMNS).join(accounts).where(suppressions.c.id == number)
    row = connection.execute(query).first()
    return None if row is None else _listed(row)


def exactly(connection: Connection, account: str, one: Suppression) -> Listed:
    """Return what is kept of an account's address in the scope of ``one``, which is there."""
    row = connection.execute(select(suppressions).where(_whose(one))).one()
    return Listed(account, rows.suppression(row._mapping))


@dataclass(frozen=True, slots=True)
class Put:
    """What became of entries: new or counting for more, known ones, and those that stay lifted."""

    changed: int = 0
    known: int = 0
    lifted: int = 0

    @property
    def number(self) -> int:
        """How many entries there were."""
        return self.changed + self.known + self.lifted

    def __add__(self, other: Put) -> Put:
        """Return both together."""
        return Put(self.changed + other.changed, self.known + other.known, self.lifted + other.lifted)


def put(connection: Connection, entries: Sequence[Suppression], now: datetime) -> Put:
    """Enter suppressions, each with its account's id; return what became of them.

    One that stands stays as it is, unless the new one goes further; one that was lifted is entered anew if
    the new one is since then.
    """
    done = Put()
    for at in range(0, len(entries), _AT_ONCE):
        done += _put(connection, entries[at : at + _AT_ONCE], now)
    return done


def _put(connection: Connection, entries: Sequence[Suppression], now: datetime) -> Put:
    table = suppressions.c
    addresses = {text for one in entries for text in (one.address, hashed(one.address))}
    query = select(suppressions).where(
        table.account_id.in_({one.account_id for one in entries}), table.address.in_(addresses)
    )
    found = [rows.suppression(row._mapping) for row in connection.execute(query)]
    known = {_scope_of(one): one for one in found}
    new: dict[tuple[object, ...], Suppression] = {}
    gone, number, lifted = set[str](), 0, 0
    for one in entries:
        # Of an address that was forgotten, what is kept stays as it is.
        forgotten = replace(one, address=hashed(one.address), detail="")
        entry = forgotten if _scope_of(forgotten) in known else one
        whose = _scope_of(entry)
        before = known.get(whose)
        kept = merged(before, entry)
        if kept is None:
            lifted += before is not None and before.removed_at is not None
            continue
        gone |= {before.id} if before is not None and before.id and whose not in new else set()
        known[whose] = new[whose] = replace(kept, id=ids.new(int(now.timestamp() * 1000)))
        number += 1
    connection.execute(delete(suppressions).where(table.id.in_(gone)))
    if new:
        connection.execute(insert(suppressions), [_values(one) for one in new.values()])
    return Put(number, len(entries) - number - lifted, lifted)


def forget(connection: Connection, address: str, account: str = "") -> int:
    """Keep of an address, in one account or all, only what tells whether one is it; return how many entries.

    Who is suppressed stays so. Raises NotFound for an account.
    """
    table = suppressions.c
    conditions = [table.address == address]
    if account:
        conditions.append(table.account_id == account_rows.get(connection, account).id)
    changed = update(suppressions).where(*conditions).values(address=hashed(address), detail="")
    return connection.execute(changed).rowcount


def lift(
    connection: Connection,
    account: str,
    address: str,
    now: datetime,
    credential: str | None = None,
    tag: str | None = None,
) -> list[Suppression]:
    """Lift what stands of exactly this address or domain: all, or a credential's, or a tag's; return it.

    Raises NotFound where there is none.
    """
    owner = account_rows.get(connection, account)
    table = suppressions.c
    conditions = [table.account_id == owner.id, table.removed_at.is_(None)]
    conditions += [table.address.in_((address, hashed(address)))]
    conditions += [] if credential is None else [table.credential == credential]
    conditions += [] if tag is None else [table.tag == tag]
    found = [
        rows.suppression(row._mapping)
        for row in connection.execute(select(suppressions).where(*conditions).order_by(suppressions.c.id))
    ]
    if not found:
        raise NotFound(
            f"account {shown(account)} has not suppressed {shown(address)}; "
            f"'gatepost suppression show {address}' tells what there is"
        )
    connection.execute(update(suppressions).where(*conditions).values(removed_at=now))
    return found


def _search(connection: Connection, wanted: Wanted) -> Search:
    table = suppressions.c
    condition = None
    if wanted.account:
        condition = table.account_id == account_rows.get(connection, wanted.account).id
    rest: list[ColumnElement[bool]] = [] if wanted.removed else [table.removed_at.is_(None)]
    if wanted.address:
        rest.append(table.address.in_(keys(wanted.address)))
    if wanted.reason is not None:
        rest.append(table.reason == wanted.reason.value)
    if wanted.scope is not None:
        rest += [(table.credential == "") == (wanted.scope is Scope.ACCOUNT)]
        rest += [] if wanted.scope is Scope.ACCOUNT else [(table.tag != "") == (wanted.scope is Scope.TAG)]
    first, beyond = paging.since(wanted.since), paging.since(wanted.until)
    return Search((table.id,), table.id, Leading(table.id, condition), tuple(rest), first, beyond)


def _scope_of(one: Suppression) -> tuple[object, ...]:
    """Return what there is one of."""
    return one.account_id, one.address, one.credential, one.tag


def _whose(one: Suppression) -> ColumnElement[bool]:
    return (
        (suppressions.c.account_id == one.account_id)
        & (suppressions.c.address == one.address)
        & (suppressions.c.credential == one.credential)
        & (suppressions.c.tag == one.tag)
    )


def _listed(row: Row[Any]) -> Listed:
    return Listed(row.account, rows.suppression(row._mapping))


def _values(one: Suppression) -> dict[str, Any]:
    return {
        "id": one.id,
        "account_id": one.account_id,
        "address": one.address,
        "credential": one.credential,
        "tag": one.tag,
        "reason": one.reason.value,
        "since_at": one.since,
        "expires_at": one.expires_at,
        "removed_at": one.removed_at,
        "event_id": one.event,
        "message_id": one.message,
        "detail": one.detail,
    }
