"""Signing in and out, the second factor, and passwords chosen by a one-time link."""

from __future__ import annotations

from urllib.parse import quote

from starlette.responses import Response

from gatepost_dashboard.pages.asked import HOME, Asked, Late
from gatepost_dashboard.pages.guarding import local_path
from gatepost_dashboard.pages.table import Table

table = Table()
_NAME_MOST = 200


@table.page("/sign-in", public=True)
def form(asked: Asked) -> Response:
    """Show the form, or go on where somebody is signed in already."""
    wanted = _wanted(asked.query.get("next", ""))
    if asked.signing.signed(asked.cookie) is not None:
        return asked.go(wanted)
    return asked.page("signin.html", next=wanted, name="", why="")


@table.change("/sign-in", public=True, hashes=True)
def sign_in(asked: Asked) -> Response:
    """Try name and password. Whatever session there was ends."""
    name, wanted = asked.form.get("name", _NAME_MOST), _wanted(asked.form.get("next"))
    answer = asked.signing.password(name, asked.form.secret("password"), asked.origin)
    asked.parts.report.signed_in(answer.event, name, asked.origin.ip)
    if answer.why:
        return Late(asked.page("signin.html", 401, next=wanted, name=name, why=answer.why), answer.wait)
    asked.signing.sign_out(asked.cookie)
    there = f"/sign-in/code?next={quote(wanted, safe='/')}" if answer.code else wanted
    return Late(asked.with_cookie(asked.go(there), answer.cookie), answer.wait)


@table.page("/sign-in/code", public=True)
def code_form(asked: Asked) -> Response:
    """Ask for the second factor."""
    if not asked.signing.waits(asked.cookie):
        return asked.go("/sign-in")
    return asked.page("code.html", next=_wanted(asked.query.get("next", "")), why="")


@table.change("/sign-in/code", public=True)
def code(asked: Asked) -> Response:
    """Try the second factor."""
    wanted = _wanted(asked.form.get("next"))
    answer = asked.signing.code(asked.cookie, asked.form.get("code"), asked.origin)
    asked.parts.report.signed_in(answer.event, answer.user.name if answer.user else "", asked.origin.ip)
    if answer.why and not answer.code:
        return Late(asked.page("signin.html", 401, next=wanted, name="", why=answer.why), answer.wait)
    if answer.why:
        return Late(asked.page("code.html", 401, next=wanted, why=answer.why), answer.wait)
    return Late(asked.with_cookie(asked.go(wanted), answer.cookie), answer.wait)


@table.change("/sign-out", public=True)
def sign_out(asked: Asked) -> Response:
    """End the session."""
    asked.signing.sign_out(asked.cookie)
    return asked.with_cookie(asked.go("/sign-in"), "")


@table.page("/welcome/{token}", public=True)
def invited(asked: Asked) -> Response:
    """Show whoever has a good link the form for a password."""
    user = asked.signing.invited(asked.places["token"])
    name = user.name if user else ""
    return asked.page(
        "welcome.html", 200 if user else 404, who=name, again=bool(user and user.chosen), why=""
    )


@table.change("/welcome/{token}", public=True, hashes=True)
def choose(asked: Asked) -> Response:
    """Set the password, and sign in."""
    token, password = asked.places["token"], asked.form.secret("password")
    user = asked.signing.invited(token)
    if user is None:
        return asked.page("welcome.html", 404, who="", again=False, why="")
    why = "" if password == asked.form.secret("again") else "The two are not the same."
    if not why:
        answer = asked.signing.choose(token, password, asked.origin)
        if answer.event:
            asked.parts.report.signed_in(answer.event, user.name, asked.origin.ip)
        if answer.cookie:
            there = "/sign-in/code" if answer.code else HOME
            return asked.with_cookie(asked.go(there), answer.cookie)
        why = answer.why
    return asked.page("welcome.html", 422, who=user.name, again=user.chosen, why=why)


def _wanted(text: str) -> str:
    """Return where to go after the sign-in."""
    return local_path(text)
