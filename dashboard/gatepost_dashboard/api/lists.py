"""Lists of the API: a page at a time, with a cursor for the next."""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import Query, Request, Response

from gatepost_dashboard.api.bodies import Time
from gatepost_dashboard.http import cursor

LIMIT_MOST: Final = 500
Limit = Annotated[int, Query(ge=1, le=LIMIT_MOST, description="How many at most.")]
After = Annotated[
    str, Query(max_length=cursor.MOST, description="Where to go on: what 'next' of the page before had.")
]
Text = Annotated[str, Query(max_length=320)]
Since = Annotated[Time | None, Query(description="Not before that time.")]
Until = Annotated[Time | None, Query(description="Before that time.")]
Account = Annotated[
    str | None,
    Query(max_length=64, description="Only this account's; without it, an operator's token sees all."),
]


def listed(
    request: Request, response: Response, name: str, items: list[dict[str, Any]], place: str, limit: int
) -> dict[str, Any]:
    """Return a page: its items under the list's name, and the address of the next one, or null.

    ``place``: where that begins, '' at the end. The field Link (RFC 8288) says the same.
    """
    following = None
    if place:
        given = [
            (key, value) for key, value in request.query_params.multi_items() if key not in ("after", "limit")
        ]
        query = urlencode([*given, ("limit", limit), ("after", cursor.write(name, place))])
        following = f"{request.url.path}?{query}"
        response.headers["Link"] = f'<{following}>; rel="next"'
    return {name: items, "next": following}
