"""/api/v1/events: what happened to messages, and to clients that were refused."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response

from gatepost_core.service import events
from gatepost_dashboard.api import answers
from gatepost_dashboard.api.acting import Acting
from gatepost_dashboard.api.lists import Account, After, Limit, Since, Text, Until, listed
from gatepost_dashboard.http import cursor

router = APIRouter(prefix="/events", tags=["events"])
_NAME: Final = "events"
Type = Literal[events.TYPES]  # type: ignore[valid-type]  # names that the core has


@router.get("", response_model=answers.Events)
def list_events(  # noqa: PLR0913, PLR0917 - what can be asked for
    acting: Acting,
    request: Request,
    response: Response,
    message: Annotated[Text, Query(description="Of this message, by any of its names.")] = "",
    type: Annotated[
        list[Type] | None, Query(max_length=20, description="Of these types; several times.")
    ] = None,
    credential: Annotated[Text, Query(description="Of this credential's messages.")] = "",
    since: Since = None,
    until: Until = None,
    account: Account = None,
    limit: Limit = 100,
    after: After = "",
) -> dict[str, Any]:
    """List events, the newest first."""
    wanted = events.Wanted(message, tuple(type or ()), credential, since, until)
    found, seen = events.page(acting, wanted, account, limit, cursor.read(_NAME, after))
    items = [events.event_data(one, seen.names) for one in found.items]
    return listed(request, response, _NAME, items, found.cursor, limit)


@router.get("/types", response_model=answers.EventTypes)
def list_event_types(acting: Acting) -> dict[str, Any]:
    """List the types of events that there are, as lists and webhooks name them."""
    events.need(acting)
    return {"types": list(events.TYPES)}
