"""Has an app serve the pages, and the files that they load."""

from __future__ import annotations

from functools import partial
from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from gatepost_core.domain.logins.guessing import Guard, Rules, parse_networks
from gatepost_core.service.people.signing_in import SigningIn
from gatepost_core.serving.counting import SharedCounters
from gatepost_core.settings import SaslSettings
from gatepost_dashboard.http.problems import problem
from gatepost_dashboard.pages.rendering import POLICY, STATIC, Pages
from gatepost_dashboard.pages.routing import routes
from gatepost_dashboard.pages.table import Row
from gatepost_dashboard.pages.views import (
    auditing,
    credentials,
    domains,
    messages,
    profile,
    signin,
    start,
    statistics,
    suppressions,
    webhooks,
)
from gatepost_dashboard.parts import Parts

# Every page and every change there is.
ROWS: Final[tuple[Row, ...]] = (
    *signin.table,
    *profile.table,
    *start.table,
    *credentials.table,
    *messages.table,
    *domains.table,
    *suppressions.table,
    *webhooks.table,
    *statistics.table,
    *auditing.table,
)
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
# An address has a mark of what is in the file.
_FOR_GOOD: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
_UNDER_WAY: Final = 1024


def install(app: FastAPI, parts: Parts) -> None:
    """Have an app serve all pages."""
    pages = Pages()
    signing = SigningIn(parts.store, parts.keyring, guard_of(parts.settings.sasl), parts.settings)
    app.router.routes.extend(routes(ROWS, parts, pages, signing))
    app.router.routes.extend(_static())
    app.router.routes.append(Route("/{path:path}", partial(_nothing, pages), methods=["GET"]))


def guard_of(sasl: SaslSettings) -> Guard:
    """Return what holds off guessing, by the rules of SMTP's logins, with counters of its own."""
    rules = Rules(
        limit=sasl.guess_limit,
        network_limit=sasl.guess_network_limit,
        lockout=sasl.guess_lockout,
        ipv4_prefix=sasl.guess_ipv4_prefix,
        ipv6_prefix=sasl.guess_ipv6_prefix,
        shared=parse_networks(sasl.guess_shared_networks),
    )
    tables = [SharedCounters() for _ in range(3)]
    return Guard(tables[0], tables[1], rules, tables[2], [SharedCounters(_UNDER_WAY)])


def _static() -> list[Route]:
    files = sorted(path for path in STATIC.iterdir() if path.suffix in _TYPES)
    return [
        Route(f"/static/{path.name}", partial(_file, path.read_bytes(), _TYPES[path.suffix]), methods=["GET"])
        for path in files
    ]


async def _file(content: bytes, type_: str, request: Request) -> Response:
    del request
    return Response(content, media_type=type_, headers=_FOR_GOOD)


async def _nothing(pages: Pages, request: Request) -> Response:
    """Say that there is no such page; to a program as to any other of the API's."""
    if request.url.path.startswith("/api/") or "text/html" not in request.headers.get("accept", ""):
        return problem(404)
    values = {"me": None, "title": "Not found", "text": "There is no such page.", "back": "/"}
    return HTMLResponse(pages.render("told.html", values), 404, {"Content-Security-Policy": POLICY})
