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

from gatepost_cli import (
    connecting,
    credential_login,
    credential_options,
    domain_walls,
    limit,
    places,
    rule_options,
    values,
)
from gatepost_cli import credential_fields as fields
from gatepost_cli.caller import caller, noted
from gatepost_cli.complete import account_names
from gatepost_cli.credential_view import (
    credential_data,
    credential_facts,
    credential_table,
    own_use,
    suspension_data,
    suspension_text,
)
from gatepost_cli.group import Group
from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import emit, facts, note, stamp
from gatepost_cli.session import CliSession, json_option, pass_session
from gatepost_core.domain import (
    Credential,
    FeatureValue,
    ImportedSecret,
    Mode,
    Options,
    Rules,
    Source,
    State,
    shown,
)
from gatepost_core.domain.logins import standing
from gatepost_core.domain.rules.catalogue import RULES, changed
from gatepost_core.domain.rules.places import Place
from gatepost_core.keys.passwords import derive, new_password, new_username
from gatepost_core.store import credentials, domains
from gatepost_core.store.credentials import suspensions
from gatepost_core.store.ingest import usage

_LABEL = 255
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
    if origin is Source.STORE and username is not None and " " in username:
        # Many clients cut a name at a blank. Those of a directory are what they are.
        raise click.BadParameter(
            f"{shown(username)} has a blank in it; expected a name without one", param_hint="'--username'"
        )
    places.check(session, rules)
    senders = changed(Rules(), rules).senders
    username, password = _folded(session, origin, username or new_username()), new_password()
    with session.directory(write=True) as connection:
        credentials.add(
            connection,
            account=account,
            username=username,
            derived=derive(session.keyring, password) if generated else None,
            now=session.now,
            label=_checked_label(label or ""),
            features=features,
            rules=changed(Rules(), rules),
            options=wanted.over(Options()),
            expires_at=_end(expires),
            mode=Mode(mode),
            limits=None if limits is None else limits.value,
            source=origin,
            imported=None if password_hash is None else ImportedSecret(password_hash),
        )
    if isinstance(expires, datetime):
        note(session, f"It ends at {stamp(expires)}.")
    if senders:
        domain_walls.note_closed(session, username)
    if generated:
        _reveal(session, username, password, {})
        _how_to_connect(session, username, password, account, senders)
    else:
        emit(session, {"username": username}, facts([("username", username)]))


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
    with session.directory() as connection:
        found = credentials.list_all(connection, account)
    found = [one for one in found if _wanted(one, label, state, session.now)]
    with session.journal() as connection:
        used = usage.read(connection)
    rows = [(credential, own_use(credential, used.get(credential.id))) for credential in found]
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
    changes: dict[str, Any] = {}
    if label is not None:
        changes["label"] = _checked_label(label)
    if mode is not None:
        changes["mode"] = Mode(mode)
    if limits is not None:
        changes["limits"] = limits.value
    if expires is not None:
        changes["expires_at"] = _end(expires)
    if not changes and not features and not rules and not wanted and password_hash is None:
        raise click.UsageError(
            "nothing to change; give --label, --mode, --feature, --limit, --password-hash, --expires or a "
            f"rule: {', '.join(rule.option for rule in RULES.values())}"
        )
    with session.directory(write=True) as connection:
        before = credentials.get(connection, user)
        if features:
            changes["features"] = {**before.features, **features}
        if wanted:
            changes["options"] = wanted.over(before.options)
        if rules:
            changes["rules"] = changed(before.own_rules, rules)
        if password_hash is not None:
            if before.source is not Source.STORE:
                raise click.UsageError(f"the password of {user} is kept by {before.source.value}")
            changes["imported"] = ImportedSecret(password_hash)
        credentials.change(connection, user, **changes)
    _show(session, user)
    if "senders" in rules and changes["rules"].senders:
        domain_walls.note_closed(session, user)


def _folded(session: CliSession, source: Source, username: str) -> str:
    """Return a name as the back end will look it up."""
    settings = session.settings
    fold = {Source.PAM: settings.pam.fold_case, Source.LDAP: settings.ldap.fold_case}.get(source, False)
    return username.lower() if fold else username


@command.command("disable")
@fields.user
@json_option
@pass_session
def disable(session: CliSession, user: str) -> None:
    """Refuse a credential from now on, open sessions included."""
    _set_state(session, user, State.DISABLED)


@command.command("enable")
@fields.user
@json_option
@pass_session
def enable(session: CliSession, user: str) -> None:
    """Let a credential be used again that was disabled, or suspended.

    A suspension is lifted, which is noted with who did it; warnings are over, too. What is counted of the
    credential begins anew.
    """
    by = caller()
    with session.directory(write=True) as connection:
        credential = credentials.get(connection, user)
        lifted = suspensions.lift(connection, credential, session.now, by)
        credentials.change(connection, user, state=State.ACTIVE)
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
    password, now, keyring = new_password(), session.now, session.keyring
    with session.directory(write=True) as connection:
        newest = credentials.get(connection, user).secrets[-1:]
        derived = derive(keyring, password, newest[0].scram_salt if newest else None)
        credentials.rotate(connection, user, derived, now, now + overlap)
    _reveal(session, user, password, {"old_password_until": stamp(now + overlap) if overlap else None})


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
    with session.directory(write=True) as connection:
        credentials.remove(connection, user)
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


def _set_state(session: CliSession, user: str, state: State) -> None:
    with session.directory(write=True) as connection:
        credentials.change(connection, user, state=state)
    data = {"username": user, "state": state.value}
    emit(session, data, f"Credential {user} is {state.value}.")


def _show(session: CliSession, user: str, *, whole: bool = False) -> None:
    with session.directory() as connection:
        credential = credentials.get(connection, user)
        past = suspensions.history(connection, credential)
    with session.journal() as connection:
        use = own_use(credential, usage.of(connection, credential.id))
    seen = places.of(session, credential)
    emit(
        session,
        credential_data(credential, use, session.now)
        | ({"suspensions": [*map(suspension_data, past)], "places": places.data(seen)} if whole else {}),
        credential_facts(credential, use, session.now, past, seen),
    )


def _end(expires: datetime | values.Never | None) -> datetime | None:
    return expires if isinstance(expires, datetime) else None


def _checked_label(label: str) -> str:
    if len(label) > _LABEL or not label.isprintable():
        raise click.BadParameter(
            f"a label has at most {_LABEL} characters, on one line", param_hint="'--label'"
        )
    return label
