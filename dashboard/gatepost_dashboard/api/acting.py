"""Who asks the API: the API token of a request, how often it may ask, and its idempotency key."""

from __future__ import annotations

import hashlib
import time
from typing import Annotated, Final

from fastapi import Depends, Header, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from gatepost_core.domain import BadValue, utc_now
from gatepost_core.service import Context, Once, tokens
from gatepost_dashboard.http.bearer import token_of
from gatepost_dashboard.parts import parts_of

_KEY_MOST: Final = 255
_ASK: Final = {"WWW-Authenticate": 'Bearer realm="gatepost"'}


async def acting(
    request: Request,
    authorization: Annotated[str | None, Header(include_in_schema=False)] = None,
    idempotency_key: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Context:
    """Return what the service layer is given for a request. Raises HTTPException 401 and 429."""
    parts = parts_of(request)
    client = parts.client(request)
    request.state.client = client
    token, now = token_of(authorization), utc_now()
    actor = None
    if token:
        actor = await run_in_threadpool(tokens.actor_of, parts.store, parts.keyring, token, client, now)
    if actor is None:
        raise HTTPException(401, headers=_ASK)
    request.state.actor = actor
    rate = request.state.rate = parts.rates.take(actor.id, time.monotonic())
    if rate.retry:
        raise HTTPException(429, f"expected {rate.limit} requests a minute; wait {rate.retry} s")
    once = None
    if request.method == "POST" and idempotency_key is not None:
        once = Once(f"{actor.kind.value}:{actor.id}", _key(idempotency_key), await _asked(request))
    return parts.context(actor, once)


Acting = Annotated[Context, Depends(acting)]


def _key(text: str) -> str:
    if not 1 <= len(text) <= _KEY_MOST or not text.isprintable():
        raise BadValue("Idempotency-Key", f"expected 1 to {_KEY_MOST} characters that can be seen")
    return text


async def _asked(request: Request) -> bytes:
    """Return a hash of what is asked for: path, query and body."""
    what = hashlib.sha256(f"{request.url.path}?{request.url.query}\n".encode())
    what.update(await request.body())
    return what.digest()
