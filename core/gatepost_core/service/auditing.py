"""The audit log: who changed what."""

from __future__ import annotations

from typing import Any, Final

from gatepost_core.domain import stamp
from gatepost_core.service.context import Context
from gatepost_core.store import accounts
from gatepost_core.store.access import audit
from gatepost_core.store.access.audit import Entry
from gatepost_core.store.paging import Page

KIND: Final = "audit"


def page(context: Context, account: str | None, name: str, limit: int, after: str = "") -> Page[Entry]:
    """Return the newest entries, of an account's objects, or of one object alone, and where to go on.

    An account's actor sees nothing of an earlier account of that name.
    """
    context.need(KIND, write=False)
    wanted = context.own(account)
    with context.store.directory() as connection:
        own = None if context.actor.operator else context.actor.account
        since = None if own is None else accounts.get(connection, own).created_at
        return audit.page(connection, wanted, limit, after, name=name, since=since)


def entry_data(entry: Entry) -> dict[str, Any]:
    """Return an entry as plain values."""
    return {
        "id": entry.id,
        "time": stamp(entry.at),
        "actor_kind": entry.actor_kind,
        "actor_id": entry.actor_id or None,
        "actor": entry.actor,
        "address": entry.address or None,
        "account": entry.account or None,
        "action": entry.action,
        "object": entry.object,
        "before": entry.before,
        "after": entry.after,
    }
