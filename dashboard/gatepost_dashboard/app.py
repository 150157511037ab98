"""The app: the API and the pages, and around both what every answer has in common."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import ASGIApp

from gatepost_dashboard import pages
from gatepost_dashboard.api import router
from gatepost_dashboard.http.bounds import Bounds
from gatepost_dashboard.http.faults import Faults
from gatepost_dashboard.http.headers import SecurityHeaders
from gatepost_dashboard.http.problems import install
from gatepost_dashboard.http.telling import Telling
from gatepost_dashboard.parts import Parts

API = "/api/v1"
_TEXT = (
    "What the gatepost command does, over HTTP. Each request has an API token in its field Authorization "
    "('Bearer TOKEN'); 'gatepost token add' makes one. Errors are problem details (RFC 9457). Lists are read "
    "a page at a time. A POST with the field Idempotency-Key is done once. See docs/api.md."
)


def build(parts: Parts) -> ASGIApp:
    """Return what answers requests, with its layers."""
    section = parts.settings.dashboard
    bounded = Bounds(routes(parts), size=section.body_size_limit, seconds=section.request_seconds)
    return SecurityHeaders(Telling(Faults(bounded), parts.report))


def routes(parts: Parts) -> FastAPI:
    """Return the app without its layers. A router more is a line here."""
    app = FastAPI(
        title="Gatepost",
        version="1",
        openapi_url=f"{API}/openapi.json",
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
        description=_TEXT,
    )
    app.state.parts = parts
    install(app)
    app.include_router(router, prefix=API)
    pages.install(app, parts)  # the last: whatever has no page is answered there
    return app
