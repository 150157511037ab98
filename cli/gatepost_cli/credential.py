"""``gatepost credential``: SMTP logins.

User name and password are generated, unless another system knows the password (``--source``) or made
its hash (``--password-hash``). ``add`` and ``rotate`` print a generated password, once; it is not kept,
and no other command prints one, nor anything made from one.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from typing import Any

import click

from gatepost_cli import credential_fields as fields
from gatepost_cli import (
    credential_login,
    credential_options,
    domain_walls,
    limit,
    places,
    rule_options,
    values,
)
from gatepost_cli.bad_values import of_options
from gatepost_cli.caller import noted
from gatepost_cli.complete import account_names
from gatepost_cli.credential_view import credential_facts, credential_table, suspension_text
from gatepost_cli.group import Group
from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import emit, facts, note, stamp
from gatepost_cli.session import CliSession, json_option, pass_session
from gatepost_core.domain import Credential, FeatureValue, Mode, Source, State
from gatepost_core.domain.logins import standing
from gatepost_core.domain.rules.catalogue import RULES
from gatepost_core.domain.rules.places import Place
from gatepost_core.postfix import connecting
from gatepost_core.service import credentials as service
from gatepost_core.service.views import credential_data, suspension_data
from gatepost_core.store import domains

_STATES = (*(state.value for state in State), "suspended", "expired")


@click.group(cls=Group, help=NOUNS["credential"].help)
def command() -> None:
    """Hold the verbs."""


@command.command("add")
@click.option(
    "--account", required=True, metavar="ACCOUNT", shell_complete=account_names, help="The account to own it."
)
@click.option(
    "--username",
    metavar="NAME",
    callback=values.username,
    help="User name; by default one is generated. Needed with --source pam or ldap and --password-hash.",
)
@click.option(
    "--source",
    type=click.Choice([source.value for source in Source]),
    default=Source.STORE.value,
    show_default=True,
    help="Who knows the password: the store, or the PAM or LDAP back end.",
)
@fields.password_hash
@fields.label
@click.option("--mode", type=fields.MODES, default=Mode.LIVE.value, show_default=True, help=fields.MODE_HELP)
@fields.feature
@rule_options.options()
@fields.limit
@fields.expires
@credential_options.options
@json_option
@pass_session
def add(  # noqa: PLR0913, PLR0917 - a credential is what it is made of
    session: CliSession,
    account: str,
    username: str | None,
    source: str,
    password_hash: str | None,
    label: str | None,
    mode: str,
    features: dict[str, FeatureValue],
    rules: dict[str, Any],
    limits: values.Limits | None,
    expires: datetime | values.Never | None,
    wanted: credential_options.Wanted,
) -> None:
    """Make a credential; print its user name and, this once, its password if one was generated."""
    origin = Source(source)
    generated = origin is Source.STORE and password_hash is None
    if not generated and username is None:
        raise click.UsageError("--username is needed when the password is not generated")
    if password_hash is not None and origin is not Source.STORE:
        raise click.UsageError(f"--password-hash and --source {source} cannot be given together")
    places.check(session, rules)
    with of_options():
        made = service.add(
            session.context,
            service.New(
                account=account,
                username=username or "",
                source=origin,
                password_hash=password_hash,
                label=label or "",
                mode=Mode(mode),
                features=features,
                rules=rules,
                limits=None if limits is None else limits.value,
                expires_at=_end(expires),
                options=wanted.given(),
            ),
        )
    credential, password = made.credential, made.password
    senders = credential.own_rules.senders
    if isinstance(expires, datetime):
        note(session, f"It ends at {stamp(expires)}.")
    if senders:
        domain_walls.note_closed(session, credential.username)
    if password is not None:
        _reveal(session, credential.username, password, {})
        _how_to_connect(session, credential.username, password, account, senders)
    else:
        emit(session, {"username": credential.username}, facts([("username", credential.username)]))


@command.command("list")
@click.option("--account", metavar="ACCOUNT", shell_complete=account_names, help="Only this account's.")
@click.option("--label", metavar="TEXT", help="Only those whose label holds this text, in any case.")
@click.option(
    "--state",
    type=click.Choice(_STATES),
    help="Only those; suspended: disabled by itself, see docs/suspension.md; expired: whose time is over.",
)
@json_option
@pass_session
def list_(session: CliSession, account: str | None, label: str | None, state: str | None) -> None:
    """Show all credentials: label, state, features, created, last used."""
    found = service.every(session.context, account)
    rows = [(one, use) for one, use in found if _wanted(one, label, state, session.now)]
    data = [credential_data(credential, use, session.now) for credential, use in rows]
    emit(session, data, credential_table(rows, session.now))


def _wanted(credential: Credential, label: str | None, state: str | None, now: datetime) -> bool:
    """Say whether a credential is one of those that are looked for."""
    if label is not None and label.casefold() not in credential.label.casefold():
        return False
    return state is None or state in (standing(credential, now), _of_two_kinds(credential))


def _of_two_kinds(credential: Credential) -> str:
    """Return what a suspended credential is as well: disabled."""
    return credential.state.value if credential.suspension is not None else ""


@command.command("show")
@fields.user
@json_option
@pass_session
def show(session: CliSession, user: str) -> None:
    """Show one credential, its senders and its features, and when it was warned or suspended."""
    _show(session, user, whole=True)


@command.command("set")
@fields.user
@fields.label
@click.option("--mode", type=fields.MODES, help=fields.MODE_HELP)
@fields.feature
@rule_options.options(lifting=True)
@fields.limit
@fields.password_hash
@fields.expires
@credential_options.options
@json_option
@pass_session
def set_(  # noqa: PLR0913, PLR0917 - what can be changed
    session: CliSession,
    user: str,
    label: str | None,
    mode: str | None,
    features: dict[str, FeatureValue],
    rules: dict[str, Any],
    limits: values.Limits | None,
    password_hash: str | None,
    expires: datetime | values.Never | None,
    wanted: credential_options.Wanted,
) -> None:
    """Change a credential; what is not named stays.

    Rules, limits and header fields are replaced whole.
    """
    places.check(session, rules)
    given = {
        "label": label,
        "mode": None if mode is None else Mode(mode),
        "features": features or None,
        "rules": rules or None,
        "options": wanted.given() or None,
        "password_hash": password_hash,
    }
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if limits is not None:
        changes["limits"] = limits.value
    if expires is not None:
        changes["expires_at"] = _end(expires)
    if not changes:
        raise click.UsageError(
            "nothing to change; give --label, --mode, --feature, --limit, --password-hash, --expires or a "
            f"rule: {', '.join(rule.option for rule in RULES.values())}"
        )
    with of_options():
        after = service.change(session.context, user, changes)
    _show(session, user)
    if "senders" in rules and after.own_rules.senders:
        domain_walls.note_closed(session, user)


@command.command("disable")
@fields.user
@json_option
@pass_session
def disable(session: CliSession, user: str) -> None:
    """Refuse a credential from now on, open sessions included."""
    state = service.disable(session.context, user).state.value
    emit(session, {"username": user, "state": state}, f"Credential {user} is {state}.")


@command.command("enable")
@fields.user
@json_option
@pass_session
def enable(session: CliSession, user: str) -> None:
    """Let a credential be used again that was disabled, or suspended.

    A suspension is lifted, which is noted with who did it; warnings are over, too. What is counted of the
    credential begins anew.
    """
    by = session.context.actor.name
    _, lifted = service.enable(session.context, user)
    for one in lifted:
        noted(
            f"credential {user}, {one.action.value} at {stamp(one.at)} for {one.cause.value}, lifted by {by}"
        )
    data = {"username": user, "state": State.ACTIVE.value, "lifted": [suspension_data(one) for one in lifted]}
    said = "".join(f"\nLifted: {suspension_text(one)}." for one in lifted)
    emit(session, data, f"Credential {user} is {State.ACTIVE.value}.{said}")


@command.command("rotate")
@fields.user
@click.option(
    "--overlap",
    metavar="SPAN",
    callback=values.span,
    default="24h",
    show_default=True,
    help="How long the password until now stays valid: 24h, 90m, 7d; 0h ends it now.",
)
@json_option
@pass_session
def rotate(session: CliSession, user: str, overlap: timedelta) -> None:
    """Make a new password and print it, this once; the one until now stays valid for a while."""
    with of_options():
        made = service.rotate(session.context, user, overlap)
    _reveal(session, user, made.password or "", {"old_password_until": stamp(made.old_until)})


@command.command("test")
@fields.user
@click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input, to its line end."
)
@click.option("--ip", "address", metavar="ADDRESS", default="", help="Address that the login comes from.")
@json_option
@pass_session
def test(session: CliSession, user: str, password_stdin: bool, address: str) -> int:
    """Try a password: which back end answers, how, and what a session would then be allowed.

    Exit code 0: it would be let in; 1: it would not. Asks for the password, and never prints it. No use is
    noted, no failure counted.
    """
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, err=True)
    return credential_login.run(session, user, password, address)


@command.command("usage")
@fields.user
@json_option
@pass_session
def usage_(session: CliSession, user: str) -> None:
    """Show how full its limits are, and those of its account, and when they reset."""
    limit.usage(session, user)


@command.command("places")
@fields.user
@places.add
@places.forget
@json_option
@pass_session
def places_(
    session: CliSession, user: str, added: tuple[Place, ...] | None, forgotten: tuple[Place, ...] | None
) -> None:
    """Show the places that it has sent from, for rules that hold what comes from new ones; or change them."""
    places.run(session, user, added, forgotten)


@command.command("remove")
@fields.user
@json_option
@pass_session
def remove(session: CliSession, user: str) -> None:
    """Remove a credential for good; the records of its messages stay."""
    service.remove(session.context, user)
    emit(session, {"removed": user}, f"Credential {user} removed.")


def _reveal(session: CliSession, username: str, password: str, more: dict[str, str | None]) -> None:
    pairs = {"username": username, "password": password, **more}
    emit(session, pairs, facts((name, value or "") for name, value in pairs.items()))
    note(session, "The password is not kept and will not be shown again.")


def _how_to_connect(
    session: CliSession, username: str, password: str, account: str, senders: tuple[str, ...]
) -> None:
    """Say where to connect, and how to try it, while the password is at hand."""
    if session.as_json:
        return
    with session.directory() as connection:
        own = domains.list_all(connection, account)
    sender = connecting.example_sender(senders, own[0].name if own else "")
    gateway = connecting.gateway(session.settings)
    line = gateway.swaks(username, password, sender)
    note(session, f"\n{gateway.described()}\nTo try it:\n\n{line}")


def _show(session: CliSession, user: str, *, whole: bool = False) -> None:
    credential, use, past = service.show(session.context, user)
    seen = places.of(session, credential)
    data = credential_data(credential, use, session.now)
    if whole:
        data |= {"suspensions": [*map(suspension_data, past)], "places": places.data(seen)}
    emit(session, data, credential_facts(credential, use, session.now, past, seen))


def _end(expires: datetime | values.Never | None) -> datetime | None:
    return expires if isinstance(expires, datetime) else None
