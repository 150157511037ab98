"""Errors as problem details (RFC 9457), whatever went wrong: for programs, with a text for people.

``type`` is ``about:blank``, so ``title`` is the status' own; ``detail`` says what happened, what was expected
and what to do. ``errors`` names the fields of a request that cannot be used. What nobody foresaw is told in
the log alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gatepost_core.domain import BadValue, Conflict, Forbidden, NotFound, StoreError, StoreUnavailable
from gatepost_core.keys import KeyringError
from gatepost_core.service import Repeated, TooManyKeys
from gatepost_core.serving import log

MEDIA_TYPE: Final = "application/problem+json"
_ERRORS_MOST: Final = 20
_SHOWN: Final = 300
_TEXTS: Final = {
    401: "expected the header field 'Authorization: Bearer TOKEN' with an API token",
    404: "there is nothing by that name",
    405: "this cannot be done with it",
    500: "something went wrong here; the log says what",
}
# The first kind that fits decides.
_STATUS: Final[tuple[tuple[type[Exception], int], ...]] = (
    (TooManyKeys, 429),
    (NotFound, 404),
    (Forbidden, 403),
    (Conflict, 409),
    (BadValue, 422),
    (StoreError, 422),
    (StoreUnavailable, 503),
    (KeyringError, 503),
)


class Problem(JSONResponse):
    """An answer that tells of an error."""

    media_type = MEDIA_TYPE


def problem(status: int, detail: str = "", headers: Mapping[str, str] | None = None, **more: Any) -> Response:
    """Return an answer: its status, what is said of it, further members (RFC 9457 section 3.2)."""
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail or _TEXTS.get(status, HTTPStatus(status).description),
        **more,
    }
    return Problem(content, status, dict(headers or {}))


def answer(error: HTTPException) -> Response:
    """Return the answer that an error of HTTP is."""
    said = error.detail if error.detail != HTTPStatus(error.status_code).phrase else ""
    return problem(error.status_code, str(said or ""), error.headers)


def install(app: FastAPI) -> None:
    """Have an app answer every error with problem details."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    for kind, _ in _STATUS:
        app.add_exception_handler(kind, _core)
    app.add_exception_handler(Exception, _unforeseen)


async def _http(_: Request, error: Exception) -> Response:
    return answer(error) if isinstance(error, HTTPException) else problem(500)


async def _core(_: Request, error: Exception) -> Response:
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    if status >= 500:
        log.error("request cannot be answered now", error=str(error))
        return problem(status, "the store cannot be used now; try again", {"Retry-After": "5"})
    if isinstance(error, BadValue):
        return problem(status, str(error), errors=[{"field": error.field, "detail": str(error)}])
    detail = str(error).partition("; 'gatepost ")[0]  # commands are no use to a client
    if isinstance(error, Repeated):
        where = f"/api/v1/{error.location}"
        return problem(status, detail, {"Location": where}, location=where)
    return problem(status, detail)


async def _invalid(request: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    if not _is_json(request) and any(one["loc"] == ("body",) for one in found):
        return problem(415, "expected a body of the type application/json")
    errors = [
        {
            "field": "body" if one["type"] == "json_invalid" else _field(one["loc"]),
            "detail": str(one["msg"]).removeprefix("Value error, ")[:_SHOWN],
        }
        for one in found[:_ERRORS_MOST]
    ]
    named = "; ".join(f"{one['field']}: {one['detail']}" for one in errors)
    return problem(422, named or "the request cannot be read", errors=errors)


def _is_json(request: Request) -> bool:
    """Say whether a request says that its body is JSON."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media == "application/json" or media.endswith("+json")


def _field(location: tuple[Any, ...]) -> str:
    """Return a field's place, as ``features.trackclicks``; the first word says where: body, query, header."""
    where, *names = map(str, location)
    return ".".join(names)[:_SHOWN] or where


async def _unforeseen(_: Request, error: Exception) -> Response:
    log.error("request failed", exc_info=error)
    return problem(500)
