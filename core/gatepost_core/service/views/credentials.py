"""A credential as plain values; what it is made of is told in docs/cli.md and docs/api.md."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gatepost_core.domain import Credential, FeatureValue, Options, Rules, in_force, stamp
from gatepost_core.domain.features import SETTABLE
from gatepost_core.domain.limits.suspending import Suspension
from gatepost_core.domain.logins import over
from gatepost_core.domain.rules.catalogue import RULES, plain
from gatepost_core.store.ingest.usage import Usage


def credential_data(credential: Credential, used: Usage | None, now: datetime) -> dict[str, Any]:
    """Return a credential; ``features`` holds each that it can have."""
    features = in_force(credential.features)
    return {
        "username": credential.username,
        "account": credential.account,
        "label": credential.label,
        "state": credential.state.value,
        "mode": credential.mode.value,
        "expires_at": _stamp(credential.expires_at),
        "expired": over(credential.expires_at, now),
        "features": {name: _plain(features[name]) for name in SETTABLE},
        **rules_data(credential.rules, credential.own_rules),
        "limits": None if (own := credential.allowance.own) is None else [str(one) for one in own],
        "suspension": None if (why := credential.suspension) is None else suspension_data(why),
        "source": credential.source.value,
        **options_data(credential.options),
        "created_at": _stamp(credential.created_at),
        "last_used_at": _stamp(used.at) if used else None,
        "last_used_ip": used.ip if used else None,
    }


def rules_data(rules: Rules, own: Rules | None = None) -> dict[str, Any]:
    """Return rules in force. ``own``: a credential's; then it is told which of them are its account's."""
    if own is None:
        return plain(rules)
    return {**plain(rules), "account_rules": [name for name in RULES if _by_account(rules, own, name)]}


def options_data(options: Options) -> dict[str, Any]:
    """Return what a credential has beside features and rules."""
    return {
        "overrides": options.overrides,
        "edit_signed": options.edit_signed,
        "header_add": [f"{name}: {value}" for name, value in options.header_add],
        "header_drop": list(options.header_drop),
        "unsubscribe_scope": options.unsubscribe_scope,
        "transactional": options.transactional,
        "route": options.route or "default",
    }


def suspension_data(one: Suspension) -> dict[str, Any]:
    """Return a warning or suspension."""
    lifted = {"lifted_at": _stamp(one.lifted_at), "lifted_by": one.lifted_by or None}
    return {"at": _stamp(one.at), **one.detail(), "why": str(one), "message": one.message, **lifted}


def own_use(credential: Credential, use: Usage | None) -> Usage | None:
    """Return a credential's last use: SQLite may have given it the id of one that was removed."""
    return use if use is not None and use.at >= credential.created_at else None


def _by_account(rules: Rules, own: Rules, name: str) -> bool:
    return bool(getattr(rules, name)) and not getattr(own, name)


def _plain(value: FeatureValue) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _stamp(time: datetime | None) -> str | None:
    return None if time is None else stamp(time)
