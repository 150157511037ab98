"""A sender domain as plain values; of its keys the public halves."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gatepost_core.domain import DkimKey, SenderDomain, stamp
from gatepost_core.keys.dkim_keys import key_states


def domain_data(domain: SenderDomain) -> dict[str, Any]:
    """Return a domain, in short."""
    return {
        "name": domain.name,
        "account": domain.account,
        "grants": [one.account for one in domain.grants],
        "click_domain": domain.click_domain,
        "bounce_domain": domain.bounce_domain,
        "selectors": {key.selector: key.algorithm for key in domain.keys},
        "created_at": stamp(domain.created_at),
    }


def keys_data(domain: SenderDomain, now: datetime) -> list[dict[str, Any]]:
    """Return its DKIM keys: what each is used for now, and what is published of it."""
    states = key_states(domain.keys, now)
    return [_key(key, str(states[key.selector])) for key in domain.keys]


def _key(key: DkimKey, state: str) -> dict[str, Any]:
    return {
        "selector": key.selector,
        "algorithm": key.algorithm,
        "state": state,
        "activates_at": stamp(key.activates_at or key.created_at),
        "retires_at": None if key.retires_at is None else stamp(key.retires_at),
        "public": key.public,
    }
