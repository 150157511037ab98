"""Sender domains: listed and shown, with their keys' public halves."""

from __future__ import annotations

from typing import Final

from gatepost_core.domain import NotFound, SenderDomain, shown
from gatepost_core.service.context import Context
from gatepost_core.store import domains as rows

KIND: Final = "domains"


def every(context: Context, account: str | None = None) -> list[SenderDomain]:
    """Return all domains, or an account's own, by name."""
    context.need(KIND, write=False)
    with context.store.directory() as connection:
        return rows.list_all(connection, context.own(account))


def show(context: Context, name: str) -> SenderDomain:
    """Return a domain that the actor's account owns, or any for an operator. Raises NotFound."""
    context.need(KIND, write=False)
    with context.store.directory() as connection:
        found = rows.get(connection, name)
    if not context.wall(found.account):
        raise NotFound(f"no sender domain {shown(name)}; 'gatepost domain list' shows all")
    return found
