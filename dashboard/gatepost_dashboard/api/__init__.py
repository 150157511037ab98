"""The API, version 1: a module for each kind of objects, each with a router.

``acting`` says who asks, ``bodies`` and ``answers`` what is sent looks like, ``reading`` makes the core's
values of bodies, ``lists`` pages. What is done is ``gatepost_core.service``'s.
"""

from fastapi import APIRouter

from gatepost_dashboard.api import (
    accounts,
    audit,
    counts,
    credentials,
    domains,
    events,
    messages,
    suppressions,
    tokens,
    users,
    webhooks,
)
from gatepost_dashboard.api.answers import Problem

_ERRORS = {
    401: "No token, or one that counts for nothing.",
    403: "The token has not the scope that this needs.",
    404: "There is nothing by that name, or it is another account's.",
    409: "It exists already, or something depends on it, or it was done already with this Idempotency-Key.",
    422: "Something in the request cannot be used; 'errors' names the fields.",
    429: "Too many requests; Retry-After says when to come again.",
}
_CONTENT = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}

router = APIRouter(
    responses={
        status: {"description": text, "model": Problem, "content": _CONTENT}
        for status, text in _ERRORS.items()
    }
)
for _one in (
    accounts,
    users,
    tokens,
    credentials,
    domains,
    messages,
    events,
    suppressions,
    webhooks,
    counts,
    audit,
):
    router.include_router(_one.router)

__all__ = ["router"]
