"""An API token as plain values; nothing of its text."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gatepost_core.domain import stamp
from gatepost_core.domain.access import Token


def token_data(token: Token, now: datetime) -> dict[str, Any]:
    """Return a token; ``account`` null: an operator's."""
    used = token.last_used_at
    return {
        "id": token.id,
        "name": token.name,
        "account": token.account,
        "scopes": sorted(token.scopes),
        "networks": list(token.networks),
        "created_at": stamp(token.created_at),
        "created_by": token.created_by,
        "expires_at": None if token.expires_at is None else stamp(token.expires_at),
        "expired": token.over(now),
        "last_used_at": None if used is None else stamp(used),
        "last_used_ip": token.last_used_ip or None,
    }
