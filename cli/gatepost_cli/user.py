"""``gatepost user``: people who sign in to the dashboard.

Nobody but the user knows a password: ``add`` prints a link, good once and for a day, by which it is chosen.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from gatepost_cli.group import Group
from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import Table, emit, facts, note, stamp
from gatepost_cli.session import CliSession, confirmed, json_option, pass_session
from gatepost_core.domain.access import Role
from gatepost_core.domain.access.users import User, UserSession
from gatepost_core.service.people import users
from gatepost_core.service.people.users import Invited, user_data

_COLUMNS = ("user", "role", "state", "second factor", "last sign-in")
_SESSIONS = ("signed in", "last used", "address", "program")
_NONE = "none"


@click.group(cls=Group, help=NOUNS["user"].help)
def command() -> None:
    """Hold the verbs."""


def _roles(_ctx: click.Context, _param: click.Parameter, texts: Iterable[str]) -> dict[str, Role | None]:
    found: dict[str, Role | None] = {}
    for text in texts:
        account, equals, role = text.partition("=")
        if not equals or role not in (*Role, _NONE):
            names = ", ".join(Role)
            raise click.BadParameter(
                f"{text!r} is not understood; expected ACCOUNT=ROLE, ROLE one of {names}"
            )
        found[account] = None if role == _NONE else Role(role)
    return found


_role = click.option(
    "--role",
    "roles",
    metavar="ACCOUNT=ROLE",
    multiple=True,
    callback=_roles,
    help="What the user is in an account: owner, editor (all but users, tokens and audit log), viewer; none "
    "takes it away. May be given several times.",
)
_name = click.argument("name")


@command.command("add")
@_name
@_role
@click.option("--operator", is_flag=True, help="Sees and changes everything, in all accounts.")
@json_option
@pass_session
def add(session: CliSession, name: str, roles: dict[str, Role | None], operator: bool) -> None:
    """Make a user, and print the link by which a password is chosen: good once, for a day."""
    if not operator and not roles:
        raise click.UsageError("a user without a role could see nothing; give --role or --operator")
    if operator and roles:
        raise click.UsageError("an operator needs no role; give one of --role and --operator")
    given = {account: role for account, role in roles.items() if role is not None}
    if len(given) < len(roles):
        raise click.UsageError("a new user has no role that could be taken away")
    _reveal(session, users.add(session.context, name, operator=operator, roles=given))


@command.command("list")
@json_option
@pass_session
def list_(session: CliSession) -> None:
    """Show all users."""
    found = users.list_all(session.context)
    emit(session, [user_data(one) for one in found], Table(_COLUMNS, [_row(one) for one in found]))


@command.command("show")
@_name
@json_option
@pass_session
def show(session: CliSession, name: str) -> None:
    """Show one user."""
    _show(session, users.get(session.context, name))


@command.command("set")
@_name
@_role
@click.option("--operator/--no-operator", default=None, help="Sees and changes everything, or no more.")
@click.option("--enable/--disable", "enabled", default=None, help="May sign in, or not.")
@click.option("--without-second", is_flag=True, help="Remove the second factor, of who lost it.")
@click.option("--link", is_flag=True, help="Print a link by which a new password is chosen.")
@json_option
@pass_session
def set_(
    session: CliSession,
    name: str,
    roles: dict[str, Role | None],
    operator: bool | None,
    enabled: bool | None,
    without_second: bool,
    link: bool,
) -> None:
    """Change a user; what is not named stays. Whoever is changed is signed out."""
    context = session.context
    changes = {"operator": operator, "enabled": enabled}
    if not link and not roles and not without_second and set(changes.values()) == {None}:
        raise click.UsageError(
            "nothing to change; give --role, --operator, --enable, --disable, --without-second or --link"
        )
    changed = users.change(
        context, name, operator=operator, enabled=enabled, roles=roles, without_second=without_second
    )
    if link:
        _reveal(session, users.link(context, name))
    else:
        _show(session, changed)


@command.command("remove")
@_name
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_session
def remove(session: CliSession, name: str, yes: bool) -> None:
    """Remove a user, who is signed out."""
    user = users.get(session.context, name)
    if not yes:
        confirmed(session, f"Remove user {user.name}?")
    users.remove(session.context, name)
    emit(session, {"removed": user.name}, f"User {user.name} removed.")


@command.command("sessions")
@_name
@click.option("--end", is_flag=True, help="End all of them.")
@json_option
@pass_session
def sessions(session: CliSession, name: str, end: bool) -> None:
    """Show where a user is signed in, or end that."""
    context = session.context
    if end:
        number = users.end_sessions(context, name)
        emit(session, {"user": name, "ended": number}, f"Sessions of {name} ended: {number}.")
        return
    found = users.sessions(context, name)
    rows = [(stamp(one.created_at) or "", stamp(one.seen_at) or "", one.ip, one.agent) for one in found]
    emit(session, [_session(one) for one in found], Table(_SESSIONS, rows, prose=("program",)))


def _reveal(session: CliSession, invited: Invited) -> None:
    address = users.address(session.context, invited)
    note(session, "The link is good once, for a day, and not shown again.")
    emit(
        session,
        user_data(invited.user) | {"link": address},
        facts([("user", invited.user.name), ("link", address)]),
    )


def _show(session: CliSession, user: User) -> None:
    emit(session, user_data(user), facts(zip(_COLUMNS, _row(user), strict=True)))


def _row(user: User) -> tuple[str, ...]:
    roles = ", ".join(f"{role.value} of {account}" for account, role in user.roles.items())
    state = "active" if user.enabled else "disabled"
    return (
        user.name,
        "operator" if user.operator else roles,
        state if user.chosen else f"{state}, no password chosen",
        "on" if user.second else "off",
        stamp(user.seen_at) or "never",
    )


def _session(one: UserSession) -> dict[str, Any]:
    times = {"signed_in_at": stamp(one.created_at), "last_used_at": stamp(one.seen_at)}
    return times | {"ip": one.ip, "agent": one.agent}
