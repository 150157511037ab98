"""``gatepost account``: the owners of credentials and sender domains."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from gatepost_cli import account_suspension, places, rule_options, values
from gatepost_cli.complete import account_names
from gatepost_cli.credential_view import limits_text
from gatepost_cli.group import Group
from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import Table, emit, facts, stamp
from gatepost_cli.owner import as_owner_of
from gatepost_cli.session import CliSession, json_option, pass_session
from gatepost_core.domain import Account, Bounces
from gatepost_core.domain.options import NO_ROUTE
from gatepost_core.domain.rules.catalogue import RULES
from gatepost_core.service import accounts as service
from gatepost_core.service.views import account_data
from gatepost_core.store.images import FileImageStore


@click.group(cls=Group, help=NOUNS["account"].help)
def command() -> None:
    """Hold the verbs."""


_keep_days = click.option(
    "--keep-days",
    metavar="DAYS",
    default="default",
    callback=values.days,
    help="How long its messages and their events are kept; 0: for good; default: what the setting "
    "store.keep_days says.",
)


_limit = click.option(
    "--limit",
    "limits",
    metavar="LIMIT",
    multiple=True,
    callback=values.limits,
    help="How much all of its credentials together may send, written as credential set --limit has it. May "
    "be given several times. none: as much as they like; default: what the setting limits.account says.",
)
_time_zone = click.option(
    "--time-zone",
    metavar="NAME",
    callback=values.time_zone,
    help="Where days, months and hours of its limits begin, such as Europe/Amsterdam; default: what the "
    "setting limits.time_zone says.",
)


_route = click.option(
    "--route",
    metavar="NAME",
    callback=values.route,
    help="The way out that its credentials' mail takes, a [routes.NAME] of the settings; none, or default: "
    "that of all other mail.",
)


_bounces = click.option(
    "--bounces",
    type=click.Choice([one.value for one in Bounces]),
    help="What it hears of reports about its mail. events: events, and webhooks; forward: these, and each "
    "report is forwarded to the envelope sender of its message; ignore: they count, and nobody is told.",
)


@command.command("add")
@click.argument("name")
@_keep_days
@_limit
@_time_zone
@_route
@account_suspension.options
@_bounces
@rule_options.options(account=True)
@json_option
@pass_session
def add(  # noqa: PLR0913, PLR0917 - what can be set
    session: CliSession,
    name: str,
    keep_days: int | None,
    limits: values.Limits | None,
    time_zone: values.TimeZone | None,
    route: str | None,
    suspension: dict[str, Any],
    bounces: str | None,
    rules: dict[str, Any],
) -> None:
    """Make an account."""
    places.check(session, rules)
    changes = _given(limits, time_zone, route, bounces)
    if keep_days is not None:
        changes["keep_days"] = keep_days
    account = service.add(session.context, name, changes | {"rules": rules, "suspension": suspension})
    emit(session, _data(account), f"Account {account.name} made.")


@command.command("list")
@json_option
@pass_session
def list_(session: CliSession) -> None:
    """Show all accounts."""
    found = service.every(session.context)
    rows = [
        (account.name, stamp(account.created_at) or "", _span(_days(session, account))) for account in found
    ]
    data = [_data(account) | _days_data(session, account) for account in found]
    emit(session, data, Table(("account", "created", "messages kept"), rows))


@command.command("show")
@click.argument("name", shell_complete=account_names)
@json_option
@pass_session
def show(session: CliSession, name: str) -> None:
    """Show an account, its limits, rules for its credentials, and what its hosted images take."""
    _emit(session, service.show(session.context, name))


@command.command("set")
@click.argument("name", shell_complete=account_names)
@click.option(
    "--image-quota",
    metavar="SIZE",
    default="default",
    callback=values.size,
    help="Bytes that its hosted images may have, such as 500M or 2G; 0: none is hosted; default: what the "
    "setting images.quota says.",
)
@_keep_days
@_limit
@_time_zone
@_route
@account_suspension.options
@_bounces
@rule_options.options(account=True)
@json_option
@pass_session
@click.pass_context
def set_(  # noqa: PLR0913, PLR0917 - what can be changed
    ctx: click.Context,
    session: CliSession,
    name: str,
    image_quota: int | None,
    keep_days: int | None,
    limits: values.Limits | None,
    time_zone: values.TimeZone | None,
    route: str | None,
    suspension: dict[str, Any],
    bounces: str | None,
    rules: dict[str, Any],
) -> None:
    """Change an account. A quota counts from the next message on; what is hosted already stays.

    Rules are those of its credentials that have none of their own.
    """
    places.check(session, rules)
    changes = _given(limits, time_zone, route, bounces)
    options = ("image_quota", "keep_days")
    given = {one for one in options if ctx.get_parameter_source(one) is not ParameterSource.DEFAULT}
    if not given and not changes and not rules and not suspension:
        raise click.UsageError(
            "nothing to change; give --image-quota, --keep-days, --limit, --time-zone, --route, "
            f"{', '.join(account_suspension.OPTIONS)}, --bounces or a rule: "
            f"{', '.join(rule.option for rule in RULES.values())}"
        )
    if "image_quota" in given:
        changes["image_quota"] = image_quota
    if "keep_days" in given:
        changes["keep_days"] = keep_days
    changes |= {key: one for key, one in (("rules", rules), ("suspension", suspension)) if one}
    _emit(session, service.change(session.context, name, changes))


@command.command("remove")
@click.argument("name", shell_complete=account_names)
@json_option
@pass_session
def remove(session: CliSession, name: str) -> None:
    """Remove an account that owns no credential and no domain any more, and its hosted images."""
    account = service.remove(session.context, name)
    directory = session.settings.images.directory
    with as_owner_of(directory):
        FileImageStore(directory).forget(account.id)
    emit(session, {"removed": name}, f"Account {name} removed.")


def _given(
    limits: values.Limits | None,
    time_zone: values.TimeZone | None,
    route: str | None,
    bounces: str | None,
) -> dict[str, Any]:
    """Return what was given of these, by the names that ``accounts.change`` takes."""
    given = {"limits": limits, "time_zone": time_zone}
    changes: dict[str, Any] = {name: one.value for name, one in given.items() if one is not None}
    if route is not None:
        changes["route"] = None if route in (NO_ROUTE, "default") else route
    if bounces is not None:
        changes["bounces"] = bounces
    return changes


def _emit(session: CliSession, account: Account) -> None:
    images = session.settings.images
    with as_owner_of(images.directory):
        used = FileImageStore(images.directory).used(account.id)
    quota = images.quota if account.image_quota is None else account.image_quota
    origin = "by images.quota" if account.image_quota is None else "set for this account"
    rows = [
        ("account", account.name),
        ("created", stamp(account.created_at) or ""),
        ("hosted images", f"{used} bytes of {quota}, {origin}"),
        ("messages kept", _kept(session, account)),
        ("limits", limits_text(account.limits, "account")),
        ("route", account.route or "none"),
        *account_suspension.facts(account.suspension, session.settings.suspension.thresholds),
        ("bounces", account.bounces.value),
        *rule_options.facts(account.rules),
        ("time zone", account.time_zone or f"{session.settings.limits.time_zone}, by limits.time_zone"),
    ]
    data = account_data(account, session.settings) | {"image_bytes": used}
    emit(session, data, facts(rows))


def _kept(session: CliSession, account: Account) -> str:
    origin = "by store.keep_days" if account.keep_days is None else "set for this account"
    return f"{_span(_days(session, account))}, {origin}"


def _days(session: CliSession, account: Account) -> int:
    return session.settings.store.keep_days if account.keep_days is None else account.keep_days


def _span(days: int) -> str:
    return f"for {days} days" if days else "for good"


def _days_data(session: CliSession, account: Account) -> dict[str, Any]:
    return {"keep_days": _days(session, account), "keep_days_set": account.keep_days}


def _data(account: Account) -> dict[str, Any]:
    return {"name": account.name, "created_at": stamp(account.created_at)}
