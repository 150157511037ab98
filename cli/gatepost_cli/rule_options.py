"""The rules of ``gatepost_core.domain.rules.catalogue`` as options of commands, and as rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import click

from gatepost_core.domain import RuleError, Rules
from gatepost_core.domain.rules.catalogue import DEFAULT, NONE, RULES, Rule, read
from gatepost_core.service.views import rules_data

_F = TypeVar("_F", bound=Callable[..., Any])
# Rules that had an option of their own for being lifted before all took ``none``.
_LIFTED = ("senders", "networks")


def _read(rule: Rule, _ctx: click.Context, _param: click.Parameter, given: Any) -> Any:
    texts = given if rule.many else (given,)
    try:
        return read(rule, texts) if given else None
    except RuleError as error:
        raise click.BadParameter(str(error)) from error


def _option(rule: Rule, unset: str) -> Any:
    return click.option(
        rule.option,
        rule.name,
        metavar=rule.metavar,
        multiple=rule.many,
        callback=partial(_read, rule),
        help=f"{rule.help} {'May be given several times. ' if rule.many else ''}{NONE}: {rule.free}; "
        f"{DEFAULT}: {unset}.",
    )


def options(*, lifting: bool = False, account: bool = False) -> Callable[[_F], _F]:
    """Add the options to a command, which gets what was given as one keyword argument, ``rules``, for
    ``changed`` of the catalogue.

    ``lifting``: ``--no-senders`` and ``--no-networks`` as well. ``account``: they are of an account.
    """
    unset = f"the same as {NONE}" if account else "as its account has it"

    def added(function: _F) -> _F:
        def gathered(*args: Any, **values: Any) -> Any:
            given = {name: values.pop(name) for name in RULES}
            for name in _LIFTED:
                if values.pop(f"no_{name}", False):
                    if given[name] is not None:
                        raise click.UsageError(
                            f"{RULES[name].option} and --no-{name} cannot be given together"
                        )
                    given[name] = NONE
            wanted = {name: value for name, value in given.items() if value is not None}
            return function(*args, rules=wanted, **values)

        gathered.__doc__ = function.__doc__
        gathered.__name__ = function.__name__
        gathered.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
        result: Any = gathered
        for name in _LIFTED if lifting else ():
            result = click.option(f"--no-{name}", is_flag=True, help=f"The same as {_none(name)}.")(result)
        for rule in reversed(list(RULES.values())):
            result = _option(rule, unset)(result)
        typed: _F = result
        return typed

    return added


def _none(name: str) -> str:
    return f"{RULES[name].option} {NONE}"


def facts(rules: Rules, own: Rules | None = None) -> list[tuple[str, str]]:
    """Return rules as rows for people."""
    return rows(rules_data(rules, own))


def rows(shown: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what ``rules_data`` returned as rows for people."""
    of_account = shown.get("account_rules", ())
    return [
        (rule.title, (_text(shown[name]) or rule.free) + (", by its account" if name in of_account else ""))
        for name, rule in RULES.items()
    ]


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return f"{value:,}" if isinstance(value, int) else value or ""
