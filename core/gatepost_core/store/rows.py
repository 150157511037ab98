"""From rows of the directory to values: the one place, whoever read the rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, Protocol

from gatepost_core.domain.errors import RuleError, StoreUnavailable
from gatepost_core.domain.features import FeatureValue
from gatepost_core.domain.limits import Allowance, Limit, LimitError, limits
from gatepost_core.domain.limits.suspending import Action, Cause, OwnThresholds, Suspension, own_thresholds
from gatepost_core.domain.model import (
    Bounces,
    Credential,
    DkimKey,
    Grant,
    ImportedSecret,
    Mode,
    Secret,
    SenderDomain,
    Source,
    State,
)
from gatepost_core.domain.options import Options
from gatepost_core.domain.rules.catalogue import kept
from gatepost_core.domain.rules.values import Rules
from gatepost_core.domain.suppressing import Reason, Suppression

_SECRET = tuple(field.name for field in fields(Secret))


class Row(Protocol):
    """A row: values of the schema's types, by the names of its columns."""

    def __getitem__(self, name: str, /) -> Any:
        """Return a column's value."""
        ...


def credential(row: Row, secrets: Iterable[Row], suspended: Row | None = None) -> Credential:
    """Return a credential of its row, with the name of its account, its secrets' rows, its suspension's."""
    imported, own = row["imported_hash"], rules_in(row["rules"])
    return Credential(
        id=row["id"],
        account_id=row["account_id"],
        account=row["account"],
        username=row["username"],
        label=row["label"],
        state=State(row["state"]),
        features=_features(row["features"]),
        rules=own.over(rules_in(row["account_rules"] or {})),
        own_rules=own,
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        secrets=tuple([secret(one) for one in secrets]),
        source=Source(row["source"]),
        imported=ImportedSecret(imported, row["imported_expires_at"]) if imported else None,
        options=Options.from_json(row["options"]),
        mode=Mode(row["mode"]),
        image_quota=row["image_quota"],
        allowance=Allowance(
            own=limits_in(row["limits"]),
            account=limits_in(row["account_limits"]),
            time_zone=row["time_zone"] or "",
            since=int(row["account_created_at"].timestamp()),
        ),
        account_route=row["account_route"] or "",
        suspension=None if suspended is None else suspension(suspended),
    )


def limits_in(texts: Iterable[str] | None) -> tuple[Limit, ...] | None:
    """Return limits of their column; None: what the settings say. Raises StoreUnavailable.

    What a newer release wrote there must not be read as no limit at all.
    """
    try:
        return None if texts is None else limits(texts)
    except LimitError as error:
        raise StoreUnavailable(f"limits that this release does not know: {error}") from error


def bounces_in(text: str | None) -> Bounces:
    """Return what an account hears of reports: events, where this release does not know the word.

    So nothing is forwarded that should not be, and nothing that counts is missed; ``doctor`` tells of it.
    """
    try:
        return Bounces.EVENTS if text is None else Bounces(text)
    except ValueError:
        return Bounces.EVENTS


def limits_out(values: Iterable[Limit] | None) -> list[str] | None:
    """Return what ``limits_in`` reads."""
    return None if values is None else [str(one) for one in values]


def rules_in(values: Mapping[str, Any]) -> Rules:
    """Return rules of their column. Raises StoreUnavailable for those of a newer release."""
    try:
        return kept(values)
    except RuleError as error:
        raise StoreUnavailable(str(error)) from error


def own_thresholds_in(values: Mapping[str, Any]) -> OwnThresholds:
    """Return an account's own thresholds of their column. Raises StoreUnavailable for a newer release's."""
    try:
        return own_thresholds(values)
    except (ValueError, TypeError) as error:
        raise StoreUnavailable(
            f"thresholds of suspension that this release does not know: {error}"
        ) from error


def secret(row: Row) -> Secret:
    """Return a secret of its row."""
    return Secret(**{name: row[name] for name in _SECRET})


def domain(row: Row, keys: Iterable[Row], grants: Iterable[Grant]) -> SenderDomain:
    """Return a sender domain of its row, with the name of its account, and its keys' rows."""
    return SenderDomain(
        id=row["id"],
        account_id=row["account_id"],
        account=row["account"],
        name=row["name"],
        click_domain=row["click_domain"],
        bounce_domain=row["bounce_domain"],
        created_at=row["created_at"],
        keys=tuple([_key(one) for one in keys]),
        grants=tuple(grants),
    )


def grant(row: Row) -> Grant:
    """Return a grant of its row, with the name of its account."""
    return Grant(row["account_id"], row["account"])


def suppression(row: Row) -> Suppression:
    """Return a suppression of its row."""
    return Suppression(
        account_id=row["account_id"],
        address=row["address"],
        reason=Reason(row["reason"]),
        since=row["since_at"],
        credential=row["credential"],
        tag=row["tag"],
        expires_at=row["expires_at"],
        event=row["event_id"],
        message=row["message_id"],
        detail=row["detail"],
        removed_at=row["removed_at"],
        id=row["id"],
    )


def suspension(row: Row) -> Suspension:
    """Return a warning or suspension of its row."""
    return Suspension(
        cause=Cause(row["cause"]),
        action=Action(row["action"]),
        at=row["noted_at"],
        count=row["count"],
        recipients=row["recipients"],
        hours=row["hours"],
        most=row["most"],
        message=row["message_id"],
        event=row["event_id"],
        lifted_at=row["lifted_at"],
        lifted_by=row["lifted_by"],
    )


def _key(row: Row) -> DkimKey:
    return DkimKey(
        row["selector"],
        row["algorithm"],
        row["public"],
        row["sealed_private"],
        row["created_at"],
        row["activates_at"],
        row["retires_at"],
    )


def _features(values: Mapping[str, Any]) -> dict[str, FeatureValue]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
