"""What a page is asked for, and the answers that it can give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from anyio import sleep
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gatepost_core.domain import NotFound
from gatepost_core.domain.access import may
from gatepost_core.domain.access.users import User
from gatepost_core.service import Context
from gatepost_core.service.people.signing_in import Origin, Signed, SigningIn
from gatepost_dashboard.pages.forms import Form
from gatepost_dashboard.pages.guarding import cookie_name
from gatepost_dashboard.pages.rendering import POLICY, Pages

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from gatepost_dashboard.parts import Parts

# Of a page's own: what a browser tells our own pages, so that a change says where it comes from.
_HEADERS: Final = {"Content-Security-Policy": POLICY, "Referrer-Policy": "same-origin"}


@dataclass(frozen=True, slots=True)
class Link:
    """A page in the navigation; who reads objects of ``kind`` sees it ('': everybody)."""

    path: str
    title: str
    kind: str = ""


# Leads to the first page that a user may see.
HOME: Final = "/"
# What there is to go to; a page that is made adds itself here.
NAVIGATION: Final = (
    Link("/start", "Start", "stats"),
    Link("/messages", "Messages", "messages"),
    Link("/credentials", "Credentials", "credentials"),
    Link("/domains", "Domains", "domains"),
    Link("/suppressions", "Suppressions", "suppressions"),
    Link("/webhooks", "Webhooks", "webhooks"),
    Link("/statistics", "Statistics", "stats"),
    Link("/audit", "Audit log", "audit"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for a page. Of a public page ``signed`` and ``known`` may be None."""

    parts: Parts
    pages: Pages
    signing: SigningIn
    origin: Origin
    path: str
    places: Mapping[str, str]
    query: Mapping[str, str]
    form: Form
    cookie: str
    secure: bool
    base: str
    signed: Signed | None = None
    known: Context | None = field(default=None, repr=False)

    @property
    def context(self) -> Context:
        """What functions of the service layer are given."""
        assert self.known is not None  # noqa: S101 - the way to a page that is not public leads by the sign-in
        return self.known

    @property
    def user(self) -> User:
        """Who is signed in."""
        return self.session.user

    @property
    def session(self) -> Signed:
        """By which session somebody is signed in."""
        assert self.signed is not None  # noqa: S101 - as above
        return self.signed

    def may(self, kind: str, *, write: bool = False) -> bool:
        """Say whether who is signed in may read or change objects of a kind."""
        actor = self.context.actor
        return may(actor, kind, write=write, account=actor.account)

    @property
    def home(self) -> str:
        """The first page that who is signed in may see."""
        return next((one.path for one in NAVIGATION if self.may(one.kind)), "/profile")

    def number(self, name: str) -> int:
        """Return a number that is part of the path. Raises NotFound for what is none."""
        text = self.places[name]
        if not (text.isascii() and text.isdecimal() and len(text) < 16):
            raise NotFound("there is nothing by that number")
        return int(text)

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        """Return a page. ``notice`` among the values is told above it."""
        base: dict[str, Any] = {
            "me": None,
            "notice": "",
            "navigation": (),
            "section": "",
            "home": HOME,
        }
        if self.known is not None:
            links = [one for one in NAVIGATION if not one.kind or self.may(one.kind)]
            at = [one.path for one in links if _within(self.path, one.path)]
            base |= {"me": self.user, "navigation": links, "section": max(at, key=len, default="")}
            base |= {"may": self.may, "account": self.context.actor.account}
        return HTMLResponse(self.pages.render(template, base | values), status, _HEADERS)

    def told(self, status: int, title: str, text: str, back: str = "") -> Response:
        """Return a page that says one thing."""
        return self.page("told.html", status, title=title, text=text, back=back)

    def go(self, path: str) -> Response:
        """Lead to another page: what was sent is not sent again by going back or loading anew."""
        return RedirectResponse(path, 303, _HEADERS)

    def with_cookie(self, answer: Response, cookie: str) -> Response:
        """Let the browser keep a session's cookie; '' takes it away."""
        name = cookie_name(secure=self.secure)
        if cookie:
            answer.set_cookie(name, cookie, path="/", secure=self.secure, httponly=True, samesite="lax")
        else:
            answer.delete_cookie(name, path="/", secure=self.secure, httponly=True, samesite="lax")
        return answer


class Late(Response):
    """An answer that is held back for some seconds, without a thread."""

    def __init__(self, answer: Response, seconds: float) -> None:
        self._answer, self._seconds = answer, seconds
        self.status_code, self.raw_headers = answer.status_code, answer.raw_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it when it is time."""
        await sleep(self._seconds)
        await self._answer(scope, receive, send)


def query_of(**values: str) -> str:
    """Return what a link's query begins with, for another field to follow; what is '' is left out."""
    return "".join(f"{name}={quote(value, safe='')}&" for name, value in values.items() if value)


def _within(path: str, section: str) -> bool:
    return path == section or (section != "/" and path.startswith(f"{section}/"))
