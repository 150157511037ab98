"""``gatepost credential``: SMTP logins.

User name and password are generated. ``add`` and ``rotate`` print the password, once; it
is not kept, and no other command prints one, nor anything made from one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import click

from gatepost_cli import credential_options, values
from gatepost_cli.complete import account_names, credential_names, feature_names
from gatepost_cli.credential_view import credential_data, credential_facts, credential_table
from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import emit, facts, note, stamp
from gatepost_cli.session import Session, json_option, pass_session
from gatepost_core.features import FeatureValue
from gatepost_core.model import Rules, State
from gatepost_core.options import Options
from gatepost_core.passwords import derive, new_password, new_username
from gatepost_core.store import credentials, usage

_LABEL = 255
_label = click.option("--label", metavar="TEXT", help="What it is for, in your own words.")
_feature = click.option(
    "--feature",
    "features",
    metavar="NAME[=VALUE]",
    multiple=True,
    callback=values.features,
    shell_complete=feature_names,
    help="A feature and its value; a flag without a value is on. May be given several times.",
)
_sender = click.option(
    "--sender",
    "senders",
    metavar="PATTERN",
    multiple=True,
    callback=values.senders,
    help="Address, domain or *.domain that may stand in envelope and From; without any, all may. "
    "May be given several times.",
)
_expires = click.option(
    "--expires",
    metavar="DATE|never",
    callback=values.expiry,
    help="When it ends: 2027-01-31, 2027-01-31T18:00 (UTC), 90d, or never.",
)
_user = click.argument("user", shell_complete=credential_names)


@click.group(help=NOUNS["credential"].help)
def command() -> None:
    """Hold the verbs."""


@command.command("add")
@click.option(
    "--account", required=True, metavar="ACCOUNT", shell_complete=account_names, help="The account to own it."
)
@_label
@_feature
@_sender
@_expires
@credential_options.options
@json_option
@pass_session
def add(
    session: Session,
    account: str,
    label: str | None,
    features: dict[str, FeatureValue],
    senders: tuple[str, ...],
    expires: datetime | values.Never | None,
    wanted: credential_options.Wanted,
) -> None:
    """Make a credential; print its user name and, this once, its password."""
    username, password = new_username(), new_password()
    derived = derive(session.keyring, password)
    with session.directory(write=True) as connection:
        credentials.add(
            connection,
            account=account,
            username=username,
            derived=derived,
            now=session.now,
            label=_checked_label(label or ""),
            features=features,
            rules=Rules(senders=senders),
            options=wanted.over(Options()),
            expires_at=_end(expires),
        )
    _reveal(session, username, password, {})


@command.command("list")
@click.option("--account", metavar="ACCOUNT", shell_complete=account_names, help="Only this account's.")
@json_option
@pass_session
def list_(session: Session, account: str | None) -> None:
    """Show all credentials: label, state, features, created, last used."""
    with session.directory() as connection:
        found = credentials.everyone(connection, account)
    with session.journal() as connection:
        used = usage.read(connection)
    rows = [(credential, used.get(credential.id)) for credential in found]
    data = [credential_data(credential, use, session.now) for credential, use in rows]
    emit(session, data, credential_table(rows, session.now))


@command.command("show")
@_user
@json_option
@pass_session
def show(session: Session, user: str) -> None:
    """Show one credential, its senders and its features."""
    _show(session, user)


@command.command("set")
@_user
@_label
@_feature
@_sender
@click.option("--no-senders", is_flag=True, help="Lift the restriction: any sender may be used.")
@_expires
@credential_options.options
@json_option
@pass_session
def set_(
    session: Session,
    user: str,
    label: str | None,
    features: dict[str, FeatureValue],
    senders: tuple[str, ...],
    no_senders: bool,
    expires: datetime | values.Never | None,
    wanted: credential_options.Wanted,
) -> None:
    """Change a credential; what is not named stays. Senders and header fields are replaced as a whole."""
    if senders and no_senders:
        raise click.UsageError("--sender and --no-senders cannot be given together")
    changes: dict[str, Any] = {}
    if label is not None:
        changes["label"] = _checked_label(label)
    if senders or no_senders:
        changes["rules"] = Rules(senders=senders)
    if expires is not None:
        changes["expires_at"] = _end(expires)
    if not changes and not features and not wanted:
        raise click.UsageError("nothing to change; give --label, --feature, --sender or --expires")
    with session.directory(write=True) as connection:
        now = credentials.get(connection, user)
        if features:
            changes["features"] = {**now.features, **features}
        if wanted:
            changes["options"] = wanted.over(now.options)
        credentials.change(connection, user, **changes)
    _show(session, user)


@command.command("disable")
@_user
@json_option
@pass_session
def disable(session: Session, user: str) -> None:
    """Refuse a credential from now on, open sessions included."""
    _set_state(session, user, State.DISABLED)


@command.command("enable")
@_user
@json_option
@pass_session
def enable(session: Session, user: str) -> None:
    """Let a disabled credential be used again."""
    _set_state(session, user, State.ACTIVE)


@command.command("rotate")
@_user
@click.option(
    "--overlap",
    metavar="SPAN",
    callback=values.overlap,
    default="24h",
    show_default=True,
    help="How long the password until now stays valid: 24h, 90m, 7d; 0h ends it now.",
)
@json_option
@pass_session
def rotate(session: Session, user: str, overlap: timedelta) -> None:
    """Make a new password and print it, this once; the one until now stays valid for a while."""
    password = new_password()
    derived = derive(session.keyring, password)
    now = session.now
    with session.directory(write=True) as connection:
        credentials.rotate(connection, user, derived, now, now + overlap)
    _reveal(session, user, password, {"old_password_until": stamp(now + overlap) if overlap else None})


@command.command("remove")
@_user
@json_option
@pass_session
def remove(session: Session, user: str) -> None:
    """Remove a credential for good; the records of its messages stay."""
    with session.directory(write=True) as connection:
        credentials.remove(connection, user)
    emit(session, {"removed": user}, f"Credential {user} removed.")


def _reveal(session: Session, username: str, password: str, more: dict[str, str | None]) -> None:
    pairs = {"username": username, "password": password, **more}
    emit(session, pairs, facts((name, value or "") for name, value in pairs.items()))
    note(session, "The password is not kept and will not be shown again.")


def _set_state(session: Session, user: str, state: State) -> None:
    with session.directory(write=True) as connection:
        credentials.change(connection, user, state=state)
    data = {"username": user, "state": state.value}
    emit(session, data, f"Credential {user} is {state.value}.")


def _show(session: Session, user: str) -> None:
    with session.directory() as connection:
        credential = credentials.get(connection, user)
    with session.journal() as connection:
        use = usage.of(connection, credential.id)
    emit(
        session,
        credential_data(credential, use, session.now),
        credential_facts(credential, use, session.now),
    )


def _end(expires: datetime | values.Never | None) -> datetime | None:
    return expires if isinstance(expires, datetime) else None


def _checked_label(label: str) -> str:
    if len(label) > _LABEL or not label.isprintable():
        raise click.BadParameter(
            f"a label has at most {_LABEL} characters, on one line", param_hint="'--label'"
        )
    return label
