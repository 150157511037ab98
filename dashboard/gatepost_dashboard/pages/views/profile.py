"""A user's own page: password, second factor, sessions, and which account is looked at."""

from __future__ import annotations

import base64
import binascii

import segno
from markupsafe import Markup
from starlette.responses import Response

from gatepost_core.domain import NotFound
from gatepost_core.keys import KeyringError, totp
from gatepost_core.service.people import users
from gatepost_core.service.people.signing_in import WRONG_CODE
from gatepost_dashboard.pages.asked import Asked, Late
from gatepost_dashboard.pages.guarding import local_path
from gatepost_dashboard.pages.table import Table

table = Table()
_DONE = {
    "password": "The password is changed, and your other sessions have ended.",
    "off": "The second factor is off.",
    "ended": "The session has ended.",
}


@table.page("/profile")
def show(asked: Asked) -> Response:
    """Show it."""
    return _profile(asked, notice=_DONE.get(asked.query.get("done", ""), ""))


@table.change("/profile/password", hashes=True)
def password(asked: Asked) -> Response:
    """Set another password."""
    new, old = asked.form.secret("new"), asked.form.secret("old")
    if new != asked.form.secret("again"):
        return _profile(asked, 422, why="The two new ones are not the same.")
    answer = asked.signing.change_password(asked.session, old, new, asked.origin)
    if answer.why:
        return Late(_profile(asked, 422, why=answer.why), answer.wait)
    users.note_own(asked.context, "password")
    return Late(asked.go("/profile?done=password"), answer.wait)


@table.page("/profile/second")
def second(asked: Asked) -> Response:
    """Show a new secret, which counts once a code of it was given."""
    return asked.go("/profile") if asked.user.second else _offered(asked, totp.new_secret())


@table.change("/profile/second")
def switch_on(asked: Asked) -> Response:
    """Switch the second factor on; the recovery codes are shown by this answer alone."""
    try:
        sealed = base64.urlsafe_b64decode(asked.form.get("sealed").encode("ascii", "ignore"))
        secret = totp.opened(asked.parts.keyring, sealed, asked.user.id)
    except (binascii.Error, ValueError, KeyringError):
        return asked.go("/profile/second")
    codes, why = asked.signing.set_second(asked.session, secret, asked.form.get("code"))
    if why == WRONG_CODE:
        return _offered(asked, secret, 422, why=why)
    if codes:
        users.note_own(asked.context, "second-factor-on")
    return asked.page("second.html", codes=codes) if codes else asked.go("/profile")


@table.change("/profile/second/remove")
def switch_off(asked: Asked) -> Response:
    """Switch the second factor off."""
    answer = asked.signing.remove_second(asked.session, asked.form.get("code"), asked.origin)
    if answer.why:
        return Late(_profile(asked, 422, why=answer.why), answer.wait)
    users.note_own(asked.context, "second-factor-off")
    return Late(asked.go("/profile?done=off"), answer.wait)


@table.change("/profile/sessions/{number}/end")
def end(asked: Asked) -> Response:
    """End one of the user's other sessions."""
    if not asked.signing.end(asked.session, asked.number("number")):
        raise NotFound("no such session")
    return asked.go("/profile?done=ended")


@table.change("/account")
def look_at(asked: Asked) -> Response:
    """Look at another account that the user has a role in."""
    if not asked.signing.look_at(asked.session, asked.form.get("account")):
        raise NotFound("no such account")
    return asked.go(local_path(asked.form.get("next")))


def _profile(asked: Asked, status: int = 200, why: str = "", notice: str = "") -> Response:
    return asked.page(
        "profile.html",
        status,
        why=why,
        notice=notice,
        left=asked.signing.recovery_left(asked.session),
        sessions=asked.signing.sessions(asked.session),
        current=asked.session.session.id,
    )


def _offered(asked: Asked, secret: str, status: int = 200, why: str = "") -> Response:
    """Show a secret; the form holds it sealed, so that nobody else can choose it."""
    picture = segno.make(totp.address(secret, asked.user.name, "Gatepost"), error="m")
    drawn = picture.svg_inline(scale=1, border=0, omitsize=True, svgclass=None, lineclass=None)
    sealed = base64.urlsafe_b64encode(totp.sealed(asked.parts.keyring, secret, asked.user.id)).decode()
    return asked.page(
        "second.html",
        status,
        codes=(),
        why=why,
        picture=Markup(drawn),  # noqa: S704 - drawn here of letters that are ours
        secret=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        sealed=sealed,
    )
