"""Events as people and programs see them."""

from __future__ import annotations

import json

from gatepost_cli.output import stamp
from gatepost_cli.session import CliSession
from gatepost_core.store import accounts
from gatepost_core.store.events import Event, data_of

__all__ = ["COLUMNS", "account_names", "data_of", "row_of"]


def account_names(session: CliSession) -> dict[int, str]:
    """Return the names of accounts by their numbers, as events have them. Raises StoreUnavailable."""
    with session.directory() as connection:
        return {account.id: account.name for account in accounts.list_all(connection)}


COLUMNS = ("time", "type", "message", "recipient", "credential", "detail")


def row_of(event: Event) -> tuple[str, ...]:
    """Return an event's cells for a person, in the order of ``COLUMNS``."""
    detail = json.dumps(event.detail, ensure_ascii=False) if event.detail else ""
    return (
        stamp(event.time) or "",
        event.type,
        event.message,
        event.recipient,
        event.credential,
        detail,
    )
