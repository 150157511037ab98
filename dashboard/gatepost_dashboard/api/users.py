"""/api/v1/users: people who sign in to the dashboard. For operators of the gateway."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Request, Response

from gatepost_core.domain import BadValue, stamp
from gatepost_core.domain.access.users import UserSession
from gatepost_core.service import Context
from gatepost_core.service.people import users
from gatepost_dashboard.api import answers, bodies
from gatepost_dashboard.api.acting import Acting
from gatepost_dashboard.api.lists import After, Limit, listed
from gatepost_dashboard.http import cursor

router = APIRouter(prefix="/users", tags=["users"])
_NAME: Final = "users"


@router.get("", response_model=answers.Users)
def list_users(
    acting: Acting, request: Request, response: Response, limit: Limit = 100, after: After = ""
) -> dict[str, Any]:
    """List users by name."""
    place = cursor.read(_NAME, after)
    found = [one for one in users.list_all(acting) if one.name > place]
    items = [users.user_data(one) for one in found[:limit]]
    return listed(request, response, _NAME, items, items[-1]["name"] if len(found) > limit else "", limit)


@router.post("", status_code=201, response_model=answers.InvitedUser)
def make_user(
    acting: Acting,
    response: Response,
    new: Annotated[bodies.NewUser, Body(examples=[{"name": "alice@example.com", "operator": True}])],
) -> dict[str, Any]:
    """Make a user. The link by which a password is chosen is in this answer and in no other."""
    if new.operator == bool(new.roles):
        raise BadValue("roles", "expected a role in an account, or operator; an operator needs no role")
    made = users.add(acting, new.name, operator=new.operator, roles=new.roles)
    response.headers["Location"] = f"/api/v1/users/{made.user.name}"
    return _invited(acting, made)


@router.get("/{user}", response_model=answers.User)
def show_user(acting: Acting, user: str) -> dict[str, Any]:
    """Show one user."""
    return users.user_data(users.get(acting, user))


@router.patch("/{user}", response_model=answers.User)
def change_user(acting: Acting, user: str, given: bodies.UserChange) -> dict[str, Any]:
    """Change a user; what is left out stays. Whoever is changed is signed out."""
    changed = users.change(
        acting,
        user,
        operator=given.operator,
        enabled=given.enabled,
        roles=given.roles,
        without_second=given.without_second,
    )
    return users.user_data(changed)


@router.post("/{user}/link", response_model=answers.InvitedUser)
def link_user(acting: Acting, user: str) -> dict[str, Any]:
    """Make a link by which a new password is chosen; the password until now stays until then."""
    return _invited(acting, users.link(acting, user))


@router.get("/{user}/sessions", response_model=answers.UserSessions)
def list_sessions(acting: Acting, user: str) -> dict[str, Any]:
    """Show where a user is signed in."""
    return {"sessions": [_session(one) for one in users.sessions(acting, user)]}


@router.delete("/{user}/sessions", status_code=204)
def end_sessions(acting: Acting, user: str) -> None:
    """Sign a user out everywhere."""
    users.end_sessions(acting, user)


@router.delete("/{user}", status_code=204)
def remove_user(acting: Acting, user: str) -> None:
    """Remove a user, who is signed out."""
    users.remove(acting, user)


def _invited(context: Context, invited: users.Invited) -> dict[str, Any]:
    return users.user_data(invited.user) | {"link": users.address(context, invited)}


def _session(one: UserSession) -> dict[str, Any]:
    times = {"signed_in_at": stamp(one.created_at), "last_used_at": stamp(one.seen_at)}
    return times | {"ip": one.ip, "agent": one.agent}
