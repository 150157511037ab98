"""Accounts: made, changed, removed by operators; each sees its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gatepost_core.domain import Account, BadValue, NotFound, shown
from gatepost_core.domain.options import NO_ROUTE
from gatepost_core.domain.rules.catalogue import changed
from gatepost_core.service.changing import changing
from gatepost_core.service.context import Context
from gatepost_core.service.views import account_data
from gatepost_core.store import accounts as rows
from gatepost_core.store.paging import Page

KIND: Final = "accounts"


def add(context: Context, name: str, values: Mapping[str, Any] | None = None) -> Account:
    """Make an account, with what ``change`` takes. Raises StoreError for its name, Conflict."""
    context.need(KIND, write=True)
    context.operators("a new account")
    with changing(context) as work:
        account = rows.add(work.connection, name, work.now)
        account = rows.change(work.connection, account.name, **_columns(context, account, values or {}))
        work.note("account.add", name, name, None, account_data(account, context.settings))
    return account


def change(context: Context, name: str, values: Mapping[str, Any]) -> Account:
    """Change what is named: image_quota, keep_days, limits, time_zone, route, bounces, rules, suspension.

    None: as the settings say, no route, or events alone. ``rules`` are for ``catalogue.changed``,
    ``suspension`` for ``OwnThresholds.changed``.
    """
    context.need(KIND, write=True)
    context.operators("an account's limits and rules")
    with changing(context) as work:
        before = rows.get(work.connection, name)
        after = rows.change(work.connection, name, **_columns(context, before, values))
        old, new = (account_data(one, context.settings) for one in (before, after))
        work.note("account.set", name, name, old, new)
    return after


def remove(context: Context, name: str) -> Account:
    """Remove an account that owns nothing any more, its tokens with it, and return it. Raises Conflict.

    Its hosted images are the caller's to forget.
    """
    context.need(KIND, write=True)
    context.operators("removing an account")
    with changing(context) as work:
        account = rows.remove(work.connection, name)
        work.note("account.remove", name, name, account_data(account, context.settings))
    return account


def show(context: Context, name: str) -> Account:
    """Return an account."""
    context.need(KIND, write=False)
    if not context.wall(name):
        raise NotFound(f"no account {shown(name)}; 'gatepost account list' shows all")
    with context.store.directory() as connection:
        return rows.get(connection, name)


def every(context: Context) -> list[Account]:
    """Return all accounts by name; an account's actor sees its own."""
    context.need(KIND, write=False)
    with context.store.directory() as connection:
        if context.actor.account is not None:
            return [rows.get(connection, context.actor.account)]
        return rows.list_all(connection)


def page(context: Context, limit: int, after: str = "") -> Page[Account]:
    """Return accounts by name, at most ``limit``, those after a name."""
    if context.actor.account is not None:
        own = [one for one in every(context) if one.name > after]
        return Page(own[:limit], "")
    context.need(KIND, write=False)
    with context.store.directory() as connection:
        found = rows.page(connection, limit, after)
    return Page(found, found[-1].name if len(found) == limit else "")


def _columns(context: Context, account: Account, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``rows.change`` takes."""
    given = dict(values)
    context.check_rules(given.get("rules", {}))
    if "rules" in given:
        given["rules"] = changed(account.rules, given["rules"])
    if "suspension" in given:
        given["suspension"] = account.suspension.changed(given["suspension"])
    route = given.get("route")
    if route == NO_ROUTE:
        given["route"] = None
    elif route is not None and route not in context.settings.routes:
        raise BadValue("route", f"the settings have no [routes.{route[:60]}]")
    return given
