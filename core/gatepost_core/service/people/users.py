"""Users of the dashboard: made, changed and removed by operators of the gateway, with one-time links.

A user chooses the password by the link that ``add`` and ``link`` give; nobody else ever knows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gatepost_core.domain import Conflict, Forbidden, stamp
from gatepost_core.domain.access import EVERY, Role
from gatepost_core.domain.access.users import User, UserSession
from gatepost_core.service.changing import changing
from gatepost_core.service.context import Context
from gatepost_core.service.people.signing_in import new_link
from gatepost_core.store.access import sessions as session_rows
from gatepost_core.store.access import users as rows

_WHAT = "managing users"


@dataclass(frozen=True, slots=True)
class Invited:
    """A user, and what the address ends in by which a password is chosen: ``/welcome/TOKEN``."""

    user: User
    token: str


def list_all(context: Context) -> list[User]:
    """Return all users by name."""
    context.need("users", write=False)
    context.operators(_WHAT)
    with context.store.directory() as connection:
        return rows.list_all(connection)


def get(context: Context, name: str) -> User:
    """Return a user. Raises NotFound."""
    context.need("users", write=False)
    context.operators(_WHAT)
    with context.store.directory() as connection:
        return rows.get(connection, name)


def add(context: Context, name: str, *, operator: bool, roles: Mapping[str, Role]) -> Invited:
    """Make a user. Raises StoreError for the name, Conflict, NotFound for an account."""
    _changing(context)
    with changing(context) as work:
        user = rows.add(work.connection, name, work.now, operator=operator, roles=roles)
        work.note("user.add", user.name, None, None, user_data(user))
    return Invited(user, new_link(context.store, user.id, context.now))


def change(
    context: Context,
    name: str,
    *,
    operator: bool | None = None,
    enabled: bool | None = None,
    roles: Mapping[str, Role | None] | None = None,
    without_second: bool = False,
) -> User:
    """Change what is given; a role of None is taken away. Raises NotFound.

    Who may do less than before, or is disabled, is signed out: sessions end.
    """
    _changing(context)
    with changing(context) as work:
        connection = work.connection
        user = rows.get(connection, name)
        given = {"operator": operator, "enabled": enabled}
        rows.change(connection, user.id, **{key: value for key, value in given.items() if value is not None})
        for account, role in (roles or {}).items():
            rows.set_role(connection, user.id, account, role)
        if without_second:
            rows.set_totp(connection, user.id, None, 0)
        changed = rows.by_id(connection, user.id)
        if not changed.operator and not changed.roles:
            raise Conflict(f"user {user.name} could see nothing any more; remove or disable it instead")
        if changed != user:
            session_rows.end_all(connection, user.id)
            work.note("user.set", user.name, None, user_data(user), user_data(changed))
    return changed


def link(context: Context, name: str) -> Invited:
    """Make another link by which a user chooses a password; the password until now stays until then."""
    _changing(context)
    with changing(context) as work:
        user = rows.get(work.connection, name)
        work.note("user.link", user.name, None)
    return Invited(user, new_link(context.store, user.id, context.now))


def address(context: Context, invited: Invited) -> str:
    """Return the whole address of a link, by ``dashboard.public_url``, else where the daemon listens."""
    dashboard = context.settings.dashboard
    base = dashboard.public_url.rstrip("/") or f"http://{dashboard.listen.removeprefix('inet:')}"
    return f"{base}/welcome/{invited.token}"


def remove(context: Context, name: str) -> User:
    """Remove a user; its sessions end. Raises NotFound."""
    _changing(context)
    with changing(context) as work:
        user = rows.get(work.connection, name)
        rows.remove(work.connection, user.id)
        work.note("user.remove", user.name, None, user_data(user))
    return user


def sessions(context: Context, name: str) -> list[UserSession]:
    """Return a user's sessions, the newest first. Raises NotFound."""
    context.need("users", write=False)
    context.operators(_WHAT)
    with context.store.directory() as connection:
        return session_rows.of_user(connection, rows.get(connection, name).id, context.now)


def end_sessions(context: Context, name: str) -> int:
    """End all sessions of a user; return how many. Raises NotFound."""
    _changing(context)
    with changing(context) as work:
        ended = session_rows.end_all(work.connection, rows.get(work.connection, name).id)
        work.note("user.sign-out", name.lower(), None)
    return ended


def note_own(context: Context, action: str) -> None:
    """Write into the audit log what users did to themselves: a new password, a second factor."""
    with changing(context) as work:
        work.note(f"user.{action}", context.actor.name, context.actor.account)


def user_data(user: User) -> dict[str, Any]:
    """Return a user as plain values."""
    return {
        "name": user.name,
        "operator": user.operator,
        "roles": {account: role.value for account, role in user.roles.items()},
        "enabled": user.enabled,
        "password_chosen": user.chosen,
        "second_factor": user.second,
        "created_at": stamp(user.created_at),
        "last_sign_in_at": None if user.seen_at is None else stamp(user.seen_at),
    }


def _changing(context: Context) -> None:
    """Raise Forbidden for who may not do everything: a user that he makes, or lets in anew, could."""
    context.need("users", write=True)
    context.operators(_WHAT)
    actor = context.actor
    if actor.scopes < EVERY or actor.networks or actor.expires_at is not None:
        raise Forbidden(f"{_WHAT} is for who has every scope, from anywhere and without an end")
