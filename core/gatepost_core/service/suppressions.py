"""Suppressions: whom mail is not to reach; entered, lifted, listed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from gatepost_core.domain import BadValue, NotFound, shown, stamp
from gatepost_core.domain.suppressing import DETAIL_MOST, Reason, Suppression
from gatepost_core.service.changing import changing
from gatepost_core.service.context import Context
from gatepost_core.service.views.suppressions import suppression_data
from gatepost_core.store import accounts, credentials
from gatepost_core.store import suppressions as rows
from gatepost_core.store.paging import Page
from gatepost_core.store.suppressions import Listed, Wanted

__all__ = ["KIND", "Listed", "New", "Wanted", "add", "lift", "lift_one", "page", "show"]

KIND: Final = "suppressions"
TAG_MOST: Final = 255


@dataclass(frozen=True, slots=True)
class New:
    """What is entered: ``address`` in its one spelling; for a credential's mail, and there for a tag's."""

    address: str
    account: str | None = None
    credential: str = ""
    tag: str = ""
    expires_at: datetime | None = None
    note: str = ""


def add(context: Context, new: New) -> Listed:
    """Enter an address or a domain; what stands already stays. Raises NotFound, BadValue."""
    context.need(KIND, write=True)
    account = context.own(new.account)
    if account is None:
        raise BadValue("account", "an account is needed; it is whose mail does not reach the address")
    if len(new.note) > DETAIL_MOST or not new.note.isprintable():
        raise BadValue("note", f"a note has at most {DETAIL_MOST} characters on one line")
    if new.tag and not new.credential:
        raise BadValue("tag", "a tag is about a credential's messages; name that too")
    if len(new.tag) > TAG_MOST or not new.tag.isprintable():
        raise BadValue("tag", f"a tag has at most {TAG_MOST} characters on one line")
    with changing(context) as work:
        if new.expires_at is not None and new.expires_at <= work.now:
            raise BadValue("expires_at", f"{stamp(new.expires_at)} lies in the past")
        owner = accounts.get(work.connection, account)
        if new.credential:
            _check_credential(context, work.connection, new.credential, account)
        one = Suppression(
            account_id=owner.id,
            address=new.address,
            reason=Reason.MANUAL,
            since=work.now,
            credential=new.credential,
            tag=new.tag,
            expires_at=new.expires_at,
            detail=new.note,
        )
        rows.put(work.connection, [one], work.now)
        found = rows.exactly(work.connection, account, one)
        work.note("suppression.add", found.id, account, None, _noted(found, work.now))
    return found


def lift(
    context: Context, account: str | None, address: str, credential: str | None = None, tag: str | None = None
) -> list[Suppression]:
    """Lift what stands of an address or domain: all, or a credential's, or a tag's. Raises NotFound."""
    context.need(KIND, write=True)
    owner = context.own(account)
    if owner is None:
        raise BadValue("account", "an account is needed; it is whose mail reaches the address again")
    with changing(context) as work:
        found = rows.lift(work.connection, owner, address, work.now, credential, tag)
        for one in found:
            work.note("suppression.remove", one.id, owner, _noted(Listed(owner, one), work.now))
    return found


def lift_one(context: Context, number: str) -> None:
    """Lift one suppression by its id. Raises NotFound, also for one that was lifted."""
    context.need(KIND, write=True)
    with changing(context) as work:
        found = _get(context, work.connection, number)
        one = found.suppression
        rows.lift(work.connection, found.account, one.address, work.now, one.credential, one.tag)
        work.note("suppression.remove", found.id, found.account, _noted(found, work.now))


def show(context: Context, number: str) -> Listed:
    """Return one suppression by its id."""
    context.need(KIND, write=False)
    with context.store.directory() as connection:
        return _get(context, connection, number)


def page(context: Context, wanted: Wanted, limit: int, after: str = "") -> Page[Listed]:
    """Return the newest that are asked for, at most ``limit``, and where to go on."""
    context.need(KIND, write=False)
    asked = replace(wanted, account=context.own(wanted.account or None) or "")
    with context.store.directory() as connection:
        return rows.page(connection, asked, limit, after)


def _noted(found: Listed, now: datetime) -> dict[str, Any]:
    """Return what the audit log has of it: not whose address it is, which may have to be forgotten."""
    data = suppression_data(found, now)
    return {name: value for name, value in data.items() if name not in ("address", "detail")}


def _get(context: Context, connection: Connection, number: str) -> Listed:
    found = rows.of_id(connection, number)
    if found is None or not context.wall(found.account):
        raise NotFound(f"no suppression {shown(number)}; 'gatepost suppression list' shows all")
    return found


def _check_credential(context: Context, connection: Connection, username: str, account: str) -> None:
    found = credentials.find(connection, username)
    if found is None or not context.wall(found.account):
        raise NotFound(f"no credential {shown(username)}; 'gatepost credential list' shows all")
    if found.account != account:
        raise BadValue(
            "credential", f"credential {shown(username)} belongs to another account than {account}"
        )
