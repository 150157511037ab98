"""Suppressions as people and programs see them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gatepost_cli.output import stamp
from gatepost_core.domain.suppressing import Reason, Scope, Suppression
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
        ("state", state_of(one, now)),
        ("reason", one.reason.value),
        ("since", stamp(one.since) or ""),
        ("expires", stamp(one.expires_at) or "never"),
        *([("removed", stamp(one.removed_at) or "")] if one.removed_at else []),
        *([("event", one.event), ("message", one.message)] if one.event else []),
        *([("detail", one.detail)] if one.detail else []),
    ]


def state_of(one: Suppression, now: datetime) -> str:
    """Return whether it counts, in a word or two."""
    if one.removed_at is not None:
        return "removed"
    return "in force" if one.stands(now) else "expired"


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
        state_of(one, now) if one.removed_at or not one.stands(now) else stamp(one.expires_at) or "never",
        one.message,
        one.detail,
    )


def data_of(listed: Listed, now: datetime) -> dict[str, Any]:
    """Return a suppression for a program."""
    return plain(listed.account, listed.suppression, now)


def plain(account: str, one: Suppression, now: datetime) -> dict[str, Any]:
    """Return the same of one whose account is known by name."""
    return {
        "id": one.id,
        "account": account,
        "address": one.address,
        "scope": one.scope.value,
        "credential": one.credential,
        "tag": one.tag,
        "reason": one.reason.value,
        "state": state_of(one, now),
        "since": stamp(one.since),
        "expires_at": stamp(one.expires_at),
        "removed_at": stamp(one.removed_at),
        "event": one.event,
        "message": one.message,
        "detail": one.detail,
    }
