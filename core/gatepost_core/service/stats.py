"""How much was sent, and what became of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from gatepost_core.service.context import Context
from gatepost_core.service.reach import reach
from gatepost_core.store.ingest import stats as rows
from gatepost_core.store.ingest.stats import Counts, Wanted

__all__ = ["KIND", "TYPES", "Counts", "Wanted", "counts_data", "read"]

KIND: Final = "stats"
# Types of events that are told each, in the order in which they happen.
TYPES: Final = (
    "accepted",
    "delivered",
    "deferred",
    "failed",
    "bounced",
    "complaint",
    "opened",
    "clicked",
    "unsubscribed",
)


def read(context: Context, wanted: Wanted, account: str | None = None) -> list[Counts]:
    """Return what is counted by whole hours, the one with the most messages first."""
    context.need(KIND, write=False)
    seen = reach(context, account)
    asked = replace(wanted, account_id=seen.account_id, since=seen.later(wanted.since))
    with context.store.journal() as connection:
        return rows.read(connection, asked)


def counts_data(by: str, one: Counts) -> dict[str, Any]:
    """Return what was counted of one thing as plain values."""
    counts: dict[str, Any] = {by: one.key, "recipients": one.recipients}
    return counts | {type_: one.events.get(type_, 0) for type_ in TYPES} | {"kinds": one.kinds}
