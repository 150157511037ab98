"""Options of ``credential add`` and ``set`` beside features: overrides, signed mail, header fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from gatepost_cli import values
from gatepost_core.domain import Options, OptionsError
from gatepost_core.domain.options import Overrides, UnsubscribeScope, header_fields, header_names

_UNSUBSCRIBED = {
    "credential": "gets no more of its mail",
    "tag": "gets no more with the tags of that message",
}
_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was given on the command line; None and empty leave a credential's own as they are."""

    overrides: Overrides | None
    edit_signed: bool | None
    header_add: tuple[tuple[str, str], ...]
    header_drop: tuple[str, ...]
    no_headers: bool
    unsubscribe_scope: UnsubscribeScope | None
    transactional: bool | None
    route: str | None

    def __bool__(self) -> bool:
        """Say whether anything was given."""
        values = (self.overrides, self.edit_signed, self.unsubscribe_scope, self.transactional, self.route)
        given = any(value is not None for value in values)
        return given or bool(self.header_add or self.header_drop or self.no_headers)

    def given(self) -> dict[str, Any]:
        """Return what was given, as fields of Options; header fields are replaced as a whole."""
        found: dict[str, Any] = {
            name: value
            for name in ("overrides", "edit_signed", "unsubscribe_scope", "transactional")
            if (value := getattr(self, name)) is not None
        }
        if self.route is not None:
            found["route"] = "" if self.route == "default" else self.route
        if self.header_add or self.no_headers:
            found["header_add"] = self.header_add
        if self.header_drop or self.no_headers:
            found["header_drop"] = self.header_drop
        return found


def _fields(
    _ctx: click.Context, _param: click.Parameter, texts: Iterable[str]
) -> tuple[tuple[str, str], ...]:
    try:
        return header_fields(texts)
    except OptionsError as error:
        raise click.BadParameter(str(error)) from error


def _names(_ctx: click.Context, _param: click.Parameter, texts: Iterable[str]) -> tuple[str, ...]:
    try:
        return header_names(texts)
    except OptionsError as error:
        raise click.BadParameter(str(error)) from error


_OPTIONS = (
    click.option(
        "--overrides",
        type=click.Choice(["allowed", "ignored"]),
        help="Whether X-Gatepost- fields of a message change its features; they are removed either way.",
    ),
    click.option(
        "--edit-signed/--no-edit-signed",
        default=None,
        help="Edit mail that carries its author's DKIM signature, and remove the signature if it breaks; "
        "else such mail is left alone.",
    ),
    click.option(
        "--header-add",
        metavar="FIELD",
        multiple=True,
        callback=_fields,
        help="A header field to add to each message, 'Name: value'. May be given several times.",
    ),
    click.option(
        "--header-drop",
        metavar="NAME",
        multiple=True,
        callback=_names,
        help="A header field to remove from each message. May be given several times.",
    ),
    click.option("--no-headers", is_flag=True, help="Add and remove none but those named with it."),
    click.option(
        "--unsubscribe-scope",
        type=click.Choice(["credential", "tag"]),
        help="Who unsubscribes gets no more mail of this credential, or none with the tags of that message.",
    ),
    click.option(
        "--transactional/--no-transactional",
        default=None,
        help="Mail that its recipient asked for, such as receipts: only bounces and complaints suppress it, "
        "neither opt-outs nor what was entered by hand.",
    ),
    click.option(
        "--route",
        metavar="NAME",
        callback=values.route,
        help="The way out that its mail takes, a [routes.NAME] of the settings; none: that of all other "
        "mail; default: its account's.",
    ),
)
NAMES = (
    "overrides", "edit_signed", "header_add", "header_drop", "no_headers", "unsubscribe_scope",
    "transactional", "route",
)  # fmt: skip


def options(function: _F) -> _F:
    """Add the options to a command, which gets them as one keyword argument, ``wanted``."""

    def gathered(*args: Any, **values: Any) -> Any:
        wanted = Wanted(**{name: values.pop(name) for name in NAMES})
        return function(*args, wanted=wanted, **values)

    gathered.__doc__ = function.__doc__
    gathered.__name__ = function.__name__
    gathered.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
    result: Any = gathered
    for option in reversed(_OPTIONS):
        result = option(result)
    typed: _F = result
    return typed


def facts(options: Options) -> list[tuple[str, str]]:
    """Return the options as rows for people."""
    return [
        ("header overrides", options.overrides),
        ("mail with its author's signature", "edited" if options.edit_signed else "left alone"),
        ("fields added", "; ".join(f"{name}: {value}" for name, value in options.header_add) or "none"),
        ("fields removed", ", ".join(options.header_drop) or "none"),
        ("who unsubscribes", _UNSUBSCRIBED[options.unsubscribe_scope]),
        ("route", options.route or "default: its account's"),
        ("suppressed by", "bounces and complaints alone" if options.transactional else "all reasons"),
    ]
