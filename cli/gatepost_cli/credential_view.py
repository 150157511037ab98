"""How a credential is shown to people: never a secret, nor what is kept of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from gatepost_cli import credential_options, places, rule_options
from gatepost_cli.output import Table, facts, stamp
from gatepost_core.domain import CATALOGUE, Credential, FeatureValue, FeatureValues, in_force
from gatepost_core.domain.limits import Limit
from gatepost_core.domain.limits.suspending import Suspension
from gatepost_core.domain.logins import standing
from gatepost_core.domain.rules.places import Known
from gatepost_core.store.ingest.usage import Usage

_COLUMNS = ("user name", "account", "label", "state", "mode", "features", "created", "last used")


def credential_table(rows: Iterable[tuple[Credential, Usage | None]], now: datetime) -> Table:
    """Return the overview of credentials."""
    return Table(
        _COLUMNS,
        [_row(credential, used, now) for credential, used in rows],
        prose=("label", "features"),
        drop=("created", "last used", "mode", "account"),
    )


def credential_facts(
    credential: Credential,
    used: Usage | None,
    now: datetime,
    past: Iterable[Suspension] = (),
    seen: Sequence[Known] = (),
) -> Table:
    """Return one credential, a row for each of its fields.

    ``past``: its warnings and suspensions; ``seen``: where it has sent from.
    """
    return facts(
        [
            *zip(_COLUMNS, _row(credential, used, now), strict=True),
            ("last used from", used.ip if used else ""),
            ("expires", stamp(credential.expires_at) or "never"),
            *rule_options.facts(credential.rules, credential.own_rules),
            *([("has sent from", places.text(seen))] if credential.rules.hold_places else []),
            ("limits", limits_text(credential.allowance.own, "credential")),
            *((one.action.value, suspension_text(one)) for one in past),
            ("source", credential.source.value),
            *credential_options.facts(credential.options),
        ]
    )


def limits_text(own: tuple[Limit, ...] | None, setting: str) -> str:
    """Return limits for people; None: those of a setting."""
    if own is None:
        return f"what limits.{setting} says"
    return ", ".join(map(str, own)) or "none"


def suspension_text(one: Suspension) -> str:
    """Return a warning or suspension for people."""
    lifted = f"; lifted at {stamp(one.lifted_at)} by {one.lifted_by}" if one.lifted_at else ""
    return f"at {stamp(one.at)}: {one}{lifted}"


def features_text(values: FeatureValues) -> str:
    """Return the features that are on, as ``--feature`` takes them."""
    shown = [
        (name, value)
        for name, value in values.items()
        if name not in CATALOGUE or value != CATALOGUE[name].default
    ]
    return " ".join(name if value is True else f"{name}={_text(value)}" for name, value in shown)


def _row(credential: Credential, used: Usage | None, now: datetime) -> tuple[str, ...]:
    return (
        credential.username,
        credential.account,
        credential.label,
        _standing(credential, now),
        credential.mode.value,
        features_text(in_force(credential.features)),
        stamp(credential.created_at) or "",
        (stamp(used.at) or "") if used else "never",
    )


def _standing(credential: Credential, now: datetime) -> str:
    why = credential.suspension
    return standing(credential, now) + (f": {why.cause.value}" if why is not None else "")


def _text(value: FeatureValue) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)
