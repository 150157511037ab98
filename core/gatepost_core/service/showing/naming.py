"""Names that pages offer to choose from: the actor's accounts, a domain of an account."""

from __future__ import annotations

from gatepost_core.service.context import Context
from gatepost_core.store import accounts as account_rows
from gatepost_core.store import domains


def accounts(context: Context) -> list[str]:
    """Return the names of the accounts that the actor sees."""
    if context.actor.account is not None:
        return [context.actor.account]
    with context.store.directory() as connection:
        return [one.name for one in account_rows.list_all(connection)]


def domain(context: Context, account: str) -> str:
    """Return a sender domain of an account that the actor sees, '' where it has none. Raises NotFound."""
    with context.store.directory() as connection:
        own = domains.list_all(connection, context.own(account))
    return own[0].name if own else ""
