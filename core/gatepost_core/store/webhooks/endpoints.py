"""Endpoints: where an account wants its events sent, and the secrets that sign them; in the directory.

Functions on an open connection; the caller owns the transaction.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, delete, insert, select, update

from gatepost_core.domain.errors import Conflict, NotFound, StoreError, shown
from gatepost_core.domain.model import Bounces
from gatepost_core.domain.texts import bounded, unfit
from gatepost_core.store import accounts as account_rows
from gatepost_core.store.schema import accounts
from gatepost_core.store.webhooks import urls
from gatepost_core.store.webhooks.tables import webhook_secrets, webhooks

# Of one account: each gets every event that it asks for.
ENDPOINTS_MOST: Final = 50
TYPES: Final = (
    "accepted", "held", "released", "delivered", "deferred", "failed", "bounced", "response", "complaint",
    "opened", "clicked", "unsubscribed", "suppressed", "suspended", "limit", "refused",
)  # fmt: skip
# What 'gatepost webhook test' sends; no event is of it.
PING: Final = "ping"
PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 32  # Standard Webhooks wants 24 to 64
_HANDLE: Final = "abcdefghijklmnopqrstuvwxyz234567"
_LABEL_MOST: Final = 255
_REASON_MOST: Final = 500


class EndpointState(StrEnum):
    """Whether events are sent."""

    ACTIVE = "active"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A secret as it is kept; ``expires_at``: when it no longer signs."""

    id: int
    sealed: bytes = field(repr=False)
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an account wants its events sent. ``types``: which, () for all of them.

    ``off_reason`` and ``off_at``: why and since when it is off. ``since``: what was noted before that is not
    sent by itself. ``secrets``: all that sign now, or did; the newest last.
    """

    id: int
    handle: str
    account_id: int
    account: str
    url: str
    label: str
    types: tuple[str, ...]
    state: EndpointState
    off_reason: str
    off_at: datetime | None
    allow_private: bool
    created_at: datetime
    since: datetime
    secrets: tuple[Sealed, ...]
    # Its account does not want to hear what reports tell.
    no_reports: bool = False

    def wants(self, type_: str, *, reported: bool = False) -> bool:
        """Say whether events of a type are asked for; ``reported``: by a report that came back."""
        return (not self.types or type_ in self.types) and not (reported and self.no_reports)

    def signing(self, now: datetime) -> tuple[Sealed, ...]:
        """Return the secrets that sign at ``now``."""
        return tuple(one for one in self.secrets if one.expires_at is None or one.expires_at > now)


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants of a new endpoint; ``types``: () for all."""

    url: str
    types: Collection[str] = ()
    label: str = ""
    allow_private: bool = False


def new_secret() -> str:
    """Return a new secret, as both sides know it: ``whsec_`` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode("ascii")


def place(handle: str) -> str:
    """Return what a secret is sealed as: only of this endpoint can it be opened."""
    return f"webhook {handle}"


def new_handle() -> str:
    """Return a name for a new endpoint, which none had before."""
    return "wh_" + "".join(secrets.choice(_HANDLE) for _ in range(12))


def add(
    connection: Connection, account: str, asked: Asked, handle: str, sealed: bytes, now: datetime
) -> Endpoint:
    """Make an endpoint. Raises NotFound, StoreError for what cannot be used, Conflict for one too many."""
    owner = account_rows.get(connection, account)
    mine = select(webhooks.c.id).where(webhooks.c.account_id == owner.id)
    if len(connection.execute(mine).all()) >= ENDPOINTS_MOST:
        raise Conflict(
            f"account {shown(account)} has {ENDPOINTS_MOST} webhooks, the most that one may have; remove one"
        )
    values = {
        "account_id": owner.id,
        "handle": handle,
        "url": urls.checked(asked.url, allow_private=asked.allow_private),
        "label": _label(asked.label),
        "types": _types(asked.types),
        "state": EndpointState.ACTIVE.value,
        "off_reason": "",
        "allow_private": asked.allow_private,
        "created_at": now,
        "since": now,
    }
    key = connection.execute(insert(webhooks).values(**values)).inserted_primary_key
    number = int(key[0]) if key is not None else 0
    connection.execute(insert(webhook_secrets).values(webhook_id=number, sealed=sealed, created_at=now))
    return get(connection, handle)


def get(connection: Connection, handle: str) -> Endpoint:
    """Return an endpoint. Raises NotFound."""
    found = _read(connection, _select().where(webhooks.c.handle == handle))
    if not found:
        raise NotFound(f"no webhook {shown(handle)}; 'gatepost webhook list' shows all")
    return found[0]


def list_all(connection: Connection, account: str | None = None) -> list[Endpoint]:
    """Return all endpoints, or an account's, oldest first. Raises NotFound for an account that is none."""
    query = _select()
    if account is not None:
        query = query.where(webhooks.c.account_id == account_rows.get(connection, account).id)
    return _read(connection, query)


def active(connection: Connection) -> list[Endpoint]:
    """Return the endpoints that events are sent to."""
    return _read(connection, _select().where(webhooks.c.state == EndpointState.ACTIVE.value))


def change(
    connection: Connection,
    handle: str,
    *,
    url: str | None = None,
    types: Collection[str] | None = None,
    label: str | None = None,
    allow_private: bool | None = None,
) -> Endpoint:
    """Change what is not None. Raises NotFound, StoreError for what cannot be used."""
    before = get(connection, handle)
    private = before.allow_private if allow_private is None else allow_private
    values = {
        "url": urls.checked(before.url if url is None else url, allow_private=private),
        "types": list(before.types) if types is None else _types(types),
        "label": before.label if label is None else _label(label),
        "allow_private": private,
    }
    connection.execute(update(webhooks).where(webhooks.c.id == before.id).values(**values))
    return get(connection, handle)


def enable(connection: Connection, handle: str, now: datetime) -> Endpoint:
    """Have events sent again, those from now on. Raises NotFound."""
    before = get(connection, handle)
    if before.state is EndpointState.OFF:
        values = {"state": EndpointState.ACTIVE.value, "off_reason": "", "off_at": None, "since": now}
        connection.execute(update(webhooks).where(webhooks.c.id == before.id).values(**values))
    return get(connection, handle)


def switch_off(connection: Connection, handle: str, reason: str, now: datetime) -> bool:
    """Have no more events sent; say whether they were until now."""
    on = (webhooks.c.handle == handle) & (webhooks.c.state == EndpointState.ACTIVE.value)
    values = {"state": EndpointState.OFF.value, "off_reason": bounded(reason, _REASON_MOST), "off_at": now}
    return connection.execute(update(webhooks).where(on).values(**values)).rowcount > 0


def rotate(connection: Connection, handle: str, sealed: bytes, now: datetime, until: datetime) -> Endpoint:
    """Add a secret; the one before signs beside it until then, any earlier one no more. Raises NotFound."""
    before = get(connection, handle)
    last = before.secrets[-1]
    for one in before.secrets[:-1]:
        connection.execute(delete(webhook_secrets).where(webhook_secrets.c.id == one.id))
    if until > now:
        ends = update(webhook_secrets).where(webhook_secrets.c.id == last.id).values(expires_at=until)
        connection.execute(ends)
    else:
        connection.execute(delete(webhook_secrets).where(webhook_secrets.c.id == last.id))
    connection.execute(insert(webhook_secrets).values(webhook_id=before.id, sealed=sealed, created_at=now))
    return get(connection, handle)


def remove(connection: Connection, handle: str) -> Endpoint:
    """Remove an endpoint with its secrets, and return it. Raises NotFound."""
    before = get(connection, handle)
    connection.execute(delete(webhook_secrets).where(webhook_secrets.c.webhook_id == before.id))
    connection.execute(delete(webhooks).where(webhooks.c.id == before.id))
    return before


def _types(types: Iterable[str]) -> list[str]:
    wanted = set(types)
    unknown = sorted(wanted.difference(TYPES))
    if unknown:
        raise StoreError(f"no event is of the type {shown(unknown[0])}; there are {', '.join(TYPES)}")
    return [one for one in TYPES if one in wanted]


def _label(text: str) -> str:
    why = unfit(text)
    if why or len(text) > _LABEL_MOST:
        raise StoreError(
            f"the label {shown(text)} cannot be used; expected at most {_LABEL_MOST} characters of one line"
            + (f", and not {why}" if why else "")
        )
    return text


def _select() -> Select[Any]:
    of_account = (accounts.c.name.label("account"), accounts.c.bounces)
    return select(webhooks, *of_account).join(accounts).order_by(webhooks.c.id)


def _read(connection: Connection, query: Select[Any]) -> list[Endpoint]:
    rows = connection.execute(query).all()
    of: dict[int, list[Sealed]] = {row.id: [] for row in rows}
    kept = select(webhook_secrets).order_by(webhook_secrets.c.id)
    if len(of) == 1:
        kept = kept.where(webhook_secrets.c.webhook_id == rows[0].id)
    for row in connection.execute(kept) if rows else ():
        if row.webhook_id in of:
            of[row.webhook_id].append(Sealed(row.id, row.sealed, row.created_at, row.expires_at))
    return [_endpoint(row, of[row.id]) for row in rows]


def _endpoint(row: Row[Any], kept: list[Sealed]) -> Endpoint:
    return Endpoint(
        id=row.id,
        handle=row.handle,
        account_id=row.account_id,
        account=row.account,
        url=row.url,
        label=row.label,
        types=tuple(row.types),
        state=EndpointState(row.state),
        off_reason=row.off_reason,
        off_at=row.off_at,
        allow_private=row.allow_private,
        created_at=row.created_at,
        since=row.since,
        secrets=tuple(kept),
        no_reports=row.bounces == Bounces.IGNORE.value,
    )
