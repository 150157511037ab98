"""Suppressions as people and programs see them."""

from __future__ import annotations

from datetime import datetime

from gatepost_cli.output import stamp
from gatepost_core.domain.suppressing import Reason, Scope, Suppression
from gatepost_core.service.views import suppression_state
from gatepost_core.store.suppressions import Listed

COLUMNS = ("since", "id", "account", "address", "scope", "reason", "expires", "message", "detail")
REASONS = tuple(one.value for one in Reason)


def pairs_of(listed: Listed, now: datetime) -> list[tuple[str, str]]:
    """Return a suppression's fields for a person."""
    one = listed.suppression
    return [
        ("address", one.address),
        ("account", listed.account),
        ("counts for", _for_what(one)),
        ("state", suppression_state(one, now)),
        ("reason", one.reason.value),
        ("since", stamp(one.since) or ""),
        ("expires", stamp(one.expires_at) or "never"),
        *([("removed", stamp(one.removed_at) or "")] if one.removed_at else []),
        *([("event", one.event), ("message", one.message)] if one.event else []),
        *([("detail", one.detail)] if one.detail else []),
    ]


def _for_what(one: Suppression) -> str:
    if one.scope is Scope.ACCOUNT:
        return "all mail of the account"
    return f"credential {one.credential}" + (f", tag {one.tag}" if one.tag else "")


def row_of(listed: Listed, now: datetime) -> tuple[str, ...]:
    """Return a suppression's cells, in the order of ``COLUMNS``."""
    one = listed.suppression
    return (
        stamp(one.since) or "",
        one.id,
        listed.account,
        one.address,
        " ".join(filter(None, [one.scope.value, one.credential, one.tag])),
        one.reason.value,
        suppression_state(one, now)
        if one.removed_at or not one.stands(now)
        else stamp(one.expires_at) or "never",
        one.message,
        one.detail,
    )
