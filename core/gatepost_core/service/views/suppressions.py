"""A suppression as plain values."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gatepost_core.domain import stamp
from gatepost_core.domain.suppressing import Suppression
from gatepost_core.store.suppressions import Listed


def suppression_data(listed: Listed, now: datetime) -> dict[str, Any]:
    """Return a suppression, with the name of its account."""
    one = listed.suppression
    return {
        "id": one.id,
        "account": listed.account,
        "address": one.address,
        "scope": one.scope.value,
        "credential": one.credential,
        "tag": one.tag,
        "reason": one.reason.value,
        "state": suppression_state(one, now),
        "since": stamp(one.since),
        "expires_at": None if one.expires_at is None else stamp(one.expires_at),
        "removed_at": None if one.removed_at is None else stamp(one.removed_at),
        "event": one.event,
        "message": one.message,
        "detail": one.detail,
    }


def suppression_state(one: Suppression, now: datetime) -> str:
    """Return whether it counts, in a word or two."""
    if one.removed_at is not None:
        return "removed"
    return "in force" if one.stands(now) else "expired"
