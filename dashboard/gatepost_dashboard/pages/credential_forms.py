"""The form of a credential: what it shows, and what is read of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from gatepost_core.domain import CATALOGUE, Credential, FeatureValue, Mode, in_force
from gatepost_core.domain.features import SETTABLE
from gatepost_core.domain.limits import Limit, limits
from gatepost_core.domain.rules.catalogue import DEFAULT, NONE, RULES, Rule, plain, read
from gatepost_dashboard.pages.forms import Form, FormError

FEATURES: Final = tuple(CATALOGUE[name] for name in SETTABLE)
MODES: Final = (
    (Mode.LIVE.value, "They are delivered."),
    (Mode.HOLD.value, "They wait until somebody releases them."),
    (Mode.SANDBOX.value, "They are recorded, and not delivered."),
)
_TEXTS_MOST: Final = 20_000


@dataclass(frozen=True, slots=True)
class Values:
    """What the form shows in its fields, as texts."""

    label: str = ""
    account: str = ""
    mode: str = Mode.LIVE.value
    expires: str = ""
    features: Mapping[str, Any] | None = None
    limits: str = ""
    rules: Mapping[str, str] | None = None


def empty(account: str = "") -> Values:
    """Return the fields of a credential that is not made yet."""
    return Values(account=account, features=_shown(in_force()), rules=dict.fromkeys(RULES, ""))


def of_credential(one: Credential) -> Values:
    """Return the fields of a credential as it is."""
    own = one.allowance.own
    rules = plain(one.own_rules)
    return Values(
        label=one.label,
        account=one.account,
        mode=one.mode.value,
        expires=one.expires_at.astimezone(UTC).strftime("%Y-%m-%d") if one.expires_at else "",
        features=_shown(in_force(one.features)),
        limits="" if own is None else "\n".join(map(str, own)) or NONE,
        rules={name: _rule_text(rule, rules[name], one) for name, rule in RULES.items()},
    )


def of_form(form: Form) -> Values:
    """Return the fields as they were sent, to show them again."""
    flags = {one.name: bool(form.get(f"feature.{one.name}")) for one in FEATURES if one.kind == "flag"}
    texts = {one.name: form.get(f"feature.{one.name}") for one in FEATURES if one.kind != "flag"}
    return Values(
        label=form.get("label"),
        account=form.get("account"),
        mode=form.get("mode"),
        expires=form.get("expires"),
        features=flags | texts,
        limits=form.text("limits", _TEXTS_MOST),
        rules={name: form.text(f"rule.{name}", _TEXTS_MOST) for name in RULES},
    )


def changes(form: Form) -> dict[str, Any]:
    """Return what the form asks for, by the names of ``service.credentials``.

    Raises FormError, and the core's errors for a value that is not understood.
    """
    return {
        "label": form.get("label", 255),
        "mode": _mode(form.get("mode")),
        "features": dict(_features(form)),
        "rules": {name: _rule(rule, form.lines(f"rule.{name}", _TEXTS_MOST)) for name, rule in RULES.items()},
        "limits": _limits(form.lines("limits", _TEXTS_MOST)),
        "expires_at": _day(form.get("expires")),
    }


def _shown(values: Mapping[str, FeatureValue]) -> dict[str, Any]:
    found = {one.name: values[one.name] for one in FEATURES}
    return {name: ", ".join(value) if isinstance(value, tuple) else value for name, value in found.items()}


def _rule_text(rule: Rule, value: Any, one: Credential) -> str:
    if not value:
        return NONE if rule.name in one.own_rules.lifted else ""
    return "\n".join(value) if rule.many else str(value)


def _features(form: Form) -> Iterable[tuple[str, FeatureValue]]:
    for one in FEATURES:
        text = form.get(f"feature.{one.name}")
        yield one.name, bool(text) if one.kind == "flag" else one.parse(text) if text else one.default


def _rule(rule: Rule, texts: list[str]) -> Any:
    return read(rule, texts if rule.many else texts[:1]) if texts else DEFAULT


def _limits(texts: list[str]) -> tuple[Limit, ...] | None:
    return limits(texts) if texts else None


def _mode(text: str) -> Mode:
    try:
        return Mode(text)
    except ValueError as error:
        raise FormError(f"{text[:40]!r} is no mode") from error


def _day(text: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise FormError(f"{text[:40]!r} is no day; expected such as 2027-01-31") from error
