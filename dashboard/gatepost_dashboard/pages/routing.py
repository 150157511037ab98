"""Around each page: who asks, whether a change comes from our own pages, and faults as pages.

| who asks | what is answered |
|---|---|
| nobody | the sign-in, and after it the page that was asked for; a change is not carried out |
| a user without the right | 403 |
| somebody else's object | 404, as if it were not there |
| a change from another site's page | 403 |
| what hashes a password, while too many wait for that | 503 at once |

Pages work with the store, so each runs in a thread of the bounded pool. What hashes a password waits for its
turn before it takes one.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gatepost_core.domain import BadValue, Conflict, Forbidden, NotFound, StoreError, StoreUnavailable
from gatepost_core.domain.access.users import actor_of
from gatepost_core.keys import KeyringError
from gatepost_core.keys.argon2id import CannotCheckError
from gatepost_core.service.people.signing_in import Origin, SigningIn
from gatepost_core.serving import log
from gatepost_dashboard.pages.asked import Asked
from gatepost_dashboard.pages.forms import Form, FormError, read
from gatepost_dashboard.pages.guarding import cookie_name, foreign
from gatepost_dashboard.pages.rendering import Pages
from gatepost_dashboard.pages.table import Row
from gatepost_dashboard.pages.turns import BusyError, Turns
from gatepost_dashboard.parts import Parts

if TYPE_CHECKING:
    from collections.abc import Iterable

_AGENT_MOST = 200
_BACK_IN = "2"  # seconds; whoever waits for a password's turn has waited less


def routes(rows: Iterable[Row], parts: Parts, pages: Pages, signing: SigningIn) -> list[Route]:
    """Return what an app serves."""
    turns = Turns()
    return [
        Route(
            row.path,
            partial(_answered, row, parts, pages, signing, turns),
            methods=[row.method],
            name=row.path,
        )
        for row in rows
    ]


async def _answered(
    row: Row, parts: Parts, pages: Pages, signing: SigningIn, turns: Turns, request: Request
) -> Response:
    request.scope["route"] = row  # what the log names: a pattern, never what stands in its places
    request.state.client = parts.client(request)
    body = await request.body() if row.method == "POST" else b""
    asked = _asked(parts, pages, signing, request)
    try:
        async with AsyncExitStack() as stack:
            if row.hashes:
                await stack.enter_async_context(turns.turn())
            answer = await to_thread.run_sync(_page, row, asked, request, body)
    except BusyError:
        answer = asked.told(503, "Not now", "Too many people are signing in at once. Try again in a moment.")
        answer.headers["Retry-After"] = _BACK_IN
    except (StoreUnavailable, KeyringError, CannotCheckError) as error:
        log.error("page cannot be shown now", error=str(error))
        answer = asked.told(503, "Not now", "The store cannot be used now. Try again in a moment.")
    except Exception as error:  # noqa: BLE001 - whatever it is, the reader gets a page
        log.error("page failed", exc_info=error)
        answer = asked.told(500, "Something went wrong", "It is our fault; the log says what it was.")
    return answer


def _page(row: Row, asked: Asked, request: Request, body: bytes) -> Response:
    public_url = asked.parts.settings.dashboard.public_url
    if row.method == "POST" and (why := foreign(request.headers, public_url)):
        return asked.told(403, "Refused", f"This change was not carried out: {why}.")
    signed = None if row.public else asked.signing.signed(asked.cookie)
    if not row.public:
        if signed is None:
            return _to_sign_in(row, asked, request)
        actor = actor_of(signed.user, signed.session.account, asked.origin.ip)
        if actor is None:
            text = "You have no role in any account any more. Ask an operator for one."
            return asked.told(403, "Nothing to see", text)
        asked = replace(asked, signed=signed, known=asked.parts.context(actor))
        request.state.actor = actor
    return _guarded(row, asked, body)


def _guarded(row: Row, asked: Asked, body: bytes) -> Response:
    try:
        if row.kind:
            asked.context.need(row.kind, write=row.write)
        return row.view(replace(asked, form=read(body)) if body else asked)
    except NotFound:
        return asked.told(404, "Not found", "There is nothing here by that name.")
    except Forbidden:
        return asked.told(403, "Not allowed", "Your role in this account does not allow that.")
    except (FormError, BadValue, Conflict, StoreError) as error:
        if isinstance(error, StoreUnavailable):
            raise
        return asked.told(422, "That cannot be done", f"{error}.")


def _to_sign_in(row: Row, asked: Asked, request: Request) -> Response:
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    target = f"?next={quote(wanted, safe='/')}" if row.method == "GET" and wanted != "/" else ""
    if request.headers.get("hx-request"):  # a part of a page: the whole page is to go there
        return Response(status_code=204, headers={"HX-Redirect": f"/sign-in{target}"})
    return asked.go(f"/sign-in{target}")


def _asked(parts: Parts, pages: Pages, signing: SigningIn, request: Request) -> Asked:
    url = parts.settings.dashboard.public_url
    secure = (url or str(request.base_url)).startswith("https:")
    return Asked(
        parts,
        pages,
        signing,
        Origin(parts.client(request), request.headers.get("user-agent", "")[:_AGENT_MOST]),
        request.url.path,
        request.path_params,
        request.query_params,
        Form(),
        request.cookies.get(cookie_name(secure=secure), ""),
        secure,
        (url or str(request.base_url)).rstrip("/"),
    )
