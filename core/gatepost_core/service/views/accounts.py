"""An account as plain values."""

from __future__ import annotations

from typing import Any

from gatepost_core.domain import Account, stamp
from gatepost_core.domain.limits.suspending import LEAST, Cause, OwnThresholds, Threshold, Thresholds
from gatepost_core.service.views.credentials import rules_data
from gatepost_core.settings import Settings


def account_data(account: Account, settings: Settings) -> dict[str, Any]:
    """Return an account; what it does not set for itself is told by ``*_set`` null."""
    quota, days = account.image_quota, account.keep_days
    return {
        "name": account.name,
        "created_at": stamp(account.created_at),
        "image_quota": settings.images.quota if quota is None else quota,
        "image_quota_set": quota,
        "keep_days": settings.store.keep_days if days is None else days,
        "keep_days_set": days,
        "limits": None if account.limits is None else [str(one) for one in account.limits],
        **rules_data(account.rules),
        "time_zone": account.time_zone or settings.limits.time_zone,
        "time_zone_set": account.time_zone or None,
        "route": account.route or None,
        "bounces": account.bounces.value,
        "suspension": thresholds_data(account.suspension, settings.suspension.thresholds),
    }


def thresholds_data(own: OwnThresholds, defaults: Thresholds) -> dict[str, Any]:
    """Return when credentials are warned and suspended, and which of that is the account's own."""
    found = own.over(defaults)
    shares: dict[str, Any] = {
        _key(cause): {"warn": one.warn, "suspend": one.suspend}
        for cause in Cause
        for one in [found.of.get(cause, Threshold())]
    }
    own_ones = [_key(cause) for cause in Cause if cause in own.of]
    return {**shares, LEAST: found.least, "set": [*own_ones, *([LEAST] if own.least is not None else [])]}


def _key(cause: Cause) -> str:
    return cause.value.replace("-", "_")
