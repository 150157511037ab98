"""A webhook as plain values; no secret is in it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gatepost_core.domain import stamp
from gatepost_core.store.webhooks.endpoints import Endpoint
from gatepost_core.store.webhooks.outbox import Health


def webhook_data(found: Endpoint, health: Health | None) -> dict[str, Any]:
    """Return a webhook and how it fares."""
    fares = health or Health(found.handle)
    return {
        "id": found.handle,
        "account": found.account,
        "url": found.url,
        "label": found.label,
        "types": list(found.types),
        "state": found.state.value,
        "off_reason": found.off_reason,
        "off_at": _stamp(found.off_at),
        "allow_private": found.allow_private,
        "created_at": _stamp(found.created_at),
        "secrets": [
            {"created_at": _stamp(one.created_at), "expires_at": _stamp(one.expires_at)}
            for one in found.secrets
        ],
        "waiting": fares.waiting,
        "failures": fares.failures,
        "failing_since": _stamp(fares.failing_since),
        "last_at": _stamp(fares.last_at),
        "last_ok_at": _stamp(fares.last_ok_at),
        "last_answer": fares.last_answer,
    }


def _stamp(time: datetime | None) -> str | None:
    return None if time is None else stamp(time)
