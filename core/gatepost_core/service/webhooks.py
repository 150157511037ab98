"""Webhooks: where accounts want their events sent; listed, changed, switched on and off, removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection

from gatepost_core.domain import Forbidden, NotFound, shown
from gatepost_core.service.changing import Change, changing
from gatepost_core.service.context import Context
from gatepost_core.service.views.webhooks import webhook_data
from gatepost_core.store.webhooks import endpoints as rows
from gatepost_core.store.webhooks import filling, outbox
from gatepost_core.store.webhooks.endpoints import Endpoint
from gatepost_core.store.webhooks.outbox import Health

KIND: Final = "webhooks"
BY_HAND: Final = "by hand"


class Shown(NamedTuple):
    """A webhook and how it fares."""

    endpoint: Endpoint
    health: Health | None


def every(context: Context, account: str | None = None) -> list[Shown]:
    """Return all webhooks, or an account's, the oldest first."""
    context.need(KIND, write=False)
    with context.store.directory() as connection:
        found = rows.list_all(connection, context.own(account))
    with context.store.journal() as connection:
        health = outbox.health(connection)
    return [Shown(one, health.get(one.handle)) for one in found]


def show(context: Context, handle: str) -> Shown:
    """Return one webhook."""
    context.need(KIND, write=False)
    with context.store.directory() as connection:
        found = _get(context, connection, handle)
    with context.store.journal() as connection:
        return Shown(found, outbox.health(connection).get(handle))


def change(context: Context, handle: str, values: Mapping[str, Any]) -> Endpoint:
    """Change what is named: url, types, label, allow_private. Raises StoreError, Forbidden.

    Only operators have events sent to addresses that are not public.
    """
    context.need(KIND, write=True)
    if "allow_private" in values:
        context.operators("an endpoint at an address that is not public")
    with changing(context) as work:
        before = _get(context, work.connection, handle)
        if before.allow_private and "url" in values and not context.actor.operator:
            raise Forbidden(
                "this endpoint may be at an address that is not public; an operator can change it"
            )
        after = rows.change(work.connection, handle, **values)
        _note(work, "webhook.set", before, after)
    return after


def enable(context: Context, handle: str) -> Endpoint:
    """Have events sent again, those from now on."""
    context.need(KIND, write=True)
    with changing(context) as work:
        before = _get(context, work.connection, handle)
        after = rows.enable(work.connection, handle, work.now)
        _note(work, "webhook.enable", before, after)
    return after


def disable(context: Context, handle: str) -> Endpoint:
    """Have no more events sent."""
    context.need(KIND, write=True)
    with changing(context) as work:
        before = _get(context, work.connection, handle)
        rows.switch_off(work.connection, handle, BY_HAND, work.now)
        after = rows.get(work.connection, handle)
        _note(work, "webhook.disable", before, after)
    return after


def remove(context: Context, handle: str) -> None:
    """Remove a webhook with its secrets, its log, and what waits for it."""
    context.need(KIND, write=True)
    with changing(context) as work:
        before = _get(context, work.connection, handle)
        rows.remove(work.connection, handle)
        work.note("webhook.remove", handle, before.account, webhook_data(before, None))
    whole = False
    while not whole:  # in short transactions
        with context.store.journal(write=True) as connection:
            whole = filling.forget(connection, handle)


def _get(context: Context, connection: Connection, handle: str) -> Endpoint:
    found = rows.get(connection, handle)
    if not context.wall(found.account):
        raise NotFound(f"no webhook {shown(handle)}; 'gatepost webhook list' shows all")
    return found


def _note(work: Change, action: str, before: Endpoint, after: Endpoint) -> None:
    work.note(action, after.handle, after.account, webhook_data(before, None), webhook_data(after, None))
