"""/api/v1/limits and /api/v1/stats: how full limits are; what was sent and what became of it."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response

from gatepost_core.service import limits, stats
from gatepost_dashboard.api import answers
from gatepost_dashboard.api.acting import Acting
from gatepost_dashboard.api.lists import Account, After, Since, Text, Until, listed
from gatepost_dashboard.http import cursor

router = APIRouter()
_LIMITS: Final = "limits"


@router.get("/limits", response_model=answers.LimitsUsed, tags=["limits"])
def list_limits(
    acting: Acting,
    request: Request,
    response: Response,
    credential: Annotated[Text, Query(description="Of this credential and its account.")] = "",
    account: Account = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Those of so many credentials at most.")] = 100,
    after: After = "",
) -> dict[str, Any]:
    """List limits, how much of each is used and when it resets; the newest credentials first."""
    if credential:
        items = [one.data() for one in limits.of_credential(acting, credential)]
        return listed(request, response, _LIMITS, items, "", limit)
    found = limits.page(acting, account, limit, cursor.number(_LIMITS, after))
    return listed(request, response, _LIMITS, [one.data() for one in found.items], found.cursor, limit)


@router.get("/stats", response_model=answers.Stats, tags=["stats"])
def show_stats(
    acting: Acting,
    by: Annotated[Literal["credential", "tag", "domain"], Query(description="Count by what.")] = "credential",
    credential: Annotated[Text, Query(description="Of this credential.")] = "",
    since: Since = None,
    until: Until = None,
    account: Account = None,
) -> dict[str, Any]:
    """Count events by whole hours, the one with the most messages first."""
    found = stats.read(acting, stats.Wanted(by, since, until, credential), account)
    return {"by": by, "stats": [stats.counts_data(by, one) for one in found]}
