"""What happened to messages, and to clients that were refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

from gatepost_core.service.context import Context
from gatepost_core.service.reach import Reach, message, reach
from gatepost_core.store import events as rows
from gatepost_core.store.events import Event, Wanted
from gatepost_core.store.events import data_of as event_data
from gatepost_core.store.paging import Page
from gatepost_core.store.webhooks.endpoints import TYPES

KIND: Final = "events"
__all__ = ["TYPES", "Event", "Found", "Wanted", "event_data", "need", "of_reference", "page"]


class Found(NamedTuple):
    """A page of events, and the names of accounts."""

    page: Page[Event]
    reach: Reach


def page(context: Context, wanted: Wanted, account: str | None, limit: int, after: str = "") -> Found:
    """Return the newest events that are asked for, at most ``limit``, and where to go on. Raises NotFound."""
    context.need(KIND, write=False)
    seen = reach(context, account)
    asked = replace(wanted, account_id=seen.account_id, since=seen.later(wanted.since))
    with context.store.journal() as connection:
        if wanted.message:
            asked = replace(asked, message=message(connection, seen, wanted.message).id)
        return Found(rows.page(connection, asked, limit, after), seen)


def need(context: Context) -> None:
    """Raise Forbidden unless the actor may read events."""
    context.need(KIND, write=False)


def of_reference(context: Context, reference: str) -> list[tuple[Event, Reach]]:
    """Return the refusals that a reference may mean, the newest first. Raises NotFound."""
    context.need(KIND, write=False)
    seen = reach(context)
    with context.store.journal() as connection:
        found = rows.of_reference(connection, reference, seen.account_id)
    return [(one, seen) for one in found if seen.since is None or one.time >= seen.since]
