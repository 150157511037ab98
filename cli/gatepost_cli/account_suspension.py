"""When an account's credentials are warned and suspended: options and rows of ``gatepost account``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

import click

from gatepost_core.domain import shown
from gatepost_core.domain.limits.suspending import (
    DEFAULT,
    LEAST,
    LEAST_MOST,
    Cause,
    OwnThresholds,
    Threshold,
    Thresholds,
    read_threshold,
)

_F = TypeVar("_F", bound=Callable[..., Any])
# What is counted of each cause, for help texts and for people.
_COUNTED: Final = {
    Cause.BOUNCES: "per cent of recipients whose mailbox is not there",
    Cause.COMPLAINTS: "per cent of recipients who complained",
    Cause.NEW_RECIPIENTS: "recipients in an hour to whom the account had not written before",
}
OPTIONS: Final = (*[f"--suspend-{cause.value}" for cause in Cause], f"--suspend-{LEAST}")


def _threshold(cause: Cause, _ctx: click.Context, _param: click.Parameter, text: str | None) -> Any:
    if text is None or text.strip().lower() == DEFAULT:
        return text and DEFAULT
    try:
        return read_threshold(cause, text)
    except ValueError as error:
        raise click.BadParameter(f"{error}, or {DEFAULT}") from error


def _least(_ctx: click.Context, _param: click.Parameter, text: str | None) -> Any:
    if text is None or text.strip().lower() == DEFAULT:
        return text and DEFAULT
    if (
        text.isascii()
        and text.isdecimal()
        and len(text) <= len(str(LEAST_MOST))
        and 1 <= int(text) <= LEAST_MOST
    ):
        return int(text)
    raise click.BadParameter(f"{shown(text)} is no number of recipients; expected 1 or more, or {DEFAULT}")


def options(function: _F) -> _F:
    """Add the options to a command, which gets what was given as one keyword argument, ``suspension``, for
    ``OwnThresholds.changed``."""

    def gathered(*args: Any, **values: Any) -> Any:
        given = {name: values.pop(_name(name)) for name in (*Cause, LEAST)}
        return function(
            *args, suspension={name: one for name, one in given.items() if one is not None}, **values
        )

    gathered.__doc__ = function.__doc__
    gathered.__name__ = function.__name__
    gathered.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
    result: Any = click.option(
        f"--suspend-{LEAST}",
        _name(LEAST),
        metavar="N",
        callback=_least,
        help="Recipients that a credential must have in the time that shares are counted over before those "
        "say anything; default: what the setting suspension.least says.",
    )(gathered)
    for cause in reversed(Cause):
        setting = f"suspension.{cause.value.replace('-', '_')}"
        result = click.option(
            f"--suspend-{cause.value}",
            _name(cause),
            metavar="WARN:SUSPEND",
            callback=partial(_threshold, cause),
            help=f"Above how many {_COUNTED[cause]} a credential of the account is warned, and suspended; "
            "SUSPEND alone, without a warning; never, in either place; "
            f"default: what the settings {setting}_warn and {setting}_suspend say.",
        )(result)
    typed: _F = result
    return typed


def _name(option: str) -> str:
    return f"suspend_{option.replace('-', '_')}"


def facts(own: OwnThresholds, defaults: Thresholds) -> list[tuple[str, str]]:
    """Return the thresholds in force as rows for people; one where nothing is ever done."""
    found = own.over(defaults)
    if not found.any:
        return [("suspension", "never" + (", set for this account" if own.of else ", by [suspension]"))]
    rows = [
        (f"suspension, {cause.value}", f"{_said(cause, found)}, {_origin(cause in own.of)}")
        for cause in Cause
    ]
    least = f"of {found.least:,} recipients or more, {_origin(own.least is not None)}"
    return [*rows, ("suspension, shares", least)]


def _said(cause: Cause, found: Thresholds) -> str:
    one = found.of.get(cause, Threshold())
    unit = "" if cause is Cause.NEW_RECIPIENTS else " %"
    said = [
        f"{what} above {most:,g}{unit}"
        for what, most in (("warns", one.warn), ("suspends", one.suspend))
        if most
    ]
    return ", ".join(said) or "never"


def _origin(own: bool) -> str:
    return "set for this account" if own else "by [suspension]"
