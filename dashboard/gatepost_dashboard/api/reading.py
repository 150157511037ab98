"""From JSON to the core's values: what cannot be used is told by its field (BadValue)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from gatepost_core import domain
from gatepost_core.domain import CATALOGUE, BadValue, FeatureValue
from gatepost_core.domain.features import SETTABLE
from gatepost_core.domain.limits import Limit
from gatepost_core.domain.limits import limits as read_limits
from gatepost_core.domain.limits.windows import time_zone as known_zone
from gatepost_core.domain.options import header_fields, header_names
from gatepost_core.domain.rules.catalogue import DEFAULT, NONE, RULES, read


@contextmanager
def of(field: str) -> Iterator[None]:
    """Turn what the core's readers raise into BadValue of a field."""
    try:
        yield
    except BadValue:
        raise
    except ValueError as error:
        raise BadValue(field, str(error)) from error


def features(given: Mapping[str, Any]) -> dict[str, FeatureValue]:
    """Return features by name: true or false, a text, or a list of texts."""
    return {name: _feature(name, value) for name, value in given.items()}


def _feature(name: str, value: Any) -> FeatureValue:
    field = f"features.{name[:64]}"
    if name not in SETTABLE:
        raise BadValue(field, f"no feature of this name; known are {', '.join(SETTABLE)}")
    feature = CATALOGUE[name]
    if (feature.kind == "flag") is not isinstance(value, bool) or (
        feature.kind != "labels" and isinstance(value, list)
    ):
        raise BadValue(field, f"expected {'true or false' if feature.kind == 'flag' else feature.expected}")
    if isinstance(value, bool):
        return value
    with of(field):
        return feature.parse(",".join(value) if isinstance(value, list) else value)


def rules(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return rules for ``catalogue.changed``: null: the account's default; an empty list: none."""
    found = {}
    for name, value in given.items():
        with of(name):
            found[name] = DEFAULT if value is None else read(RULES[name], _texts(value))
    return found


def _texts(value: Any) -> Sequence[str]:
    if isinstance(value, list):
        return value or [NONE]
    return [str(value) if value else NONE]


def limits(given: Sequence[str] | None) -> tuple[Limit, ...] | None:
    """Return limits; None: the settings'."""
    with of("limits"):
        return None if given is None else read_limits(given)


def options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of Options."""
    found = dict(given)
    if "header_add" in found:
        with of("header_add"):
            found["header_add"] = header_fields(found["header_add"])
    if "header_drop" in found:
        with of("header_drop"):
            found["header_drop"] = header_names(found["header_drop"])
    if "route" in found:
        found["route"] = "" if found["route"] in (None, "default") else found["route"]
    return found


def seconds(number: float) -> timedelta:
    """Return a span."""
    return timedelta(seconds=number)


def stamp(at: datetime) -> str:
    """Return a time as answers have it."""
    return domain.stamp(at)


def time_zone(name: str | None) -> str | None:
    """Return the name of a time zone; None: the settings'."""
    with of("time_zone"):
        return None if name is None else known_zone(name.strip())


def password_hash(text: str) -> str:
    """Return an argon2id hash, checked."""
    from gatepost_core.keys.argon2id import check  # noqa: PLC0415 - a C library that few requests need

    with of("password_hash"):
        return check(text)
