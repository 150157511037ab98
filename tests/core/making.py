"""Credentials and their secrets as values, for tests that have no store."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from gatepost_core.domain import Credential, Derived, Rules, Secret, State

MADE = datetime(2026, 1, 1, tzinfo=UTC)


def credential(*secrets: Secret, **values: Any) -> Credential:
    """Return ``gp1`` of account ``acme``, active and free to do everything, but for what ``values`` say."""
    usual: dict[str, Any] = {
        "id": 1,
        "account_id": 1,
        "account": "acme",
        "username": "gp1",
        "label": "",
        "state": State.ACTIVE,
        "features": {},
        "rules": Rules(),
        "created_at": MADE,
        "secrets": secrets,
    }
    return Credential(**{**usual, **values})


def secret(derived: Derived, expires_at: datetime | None = None) -> Secret:
    """Return a secret as the store has it."""
    return Secret(**asdict(derived), id=1, created_at=MADE, expires_at=expires_at)
