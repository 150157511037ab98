"""/api/v1/suppressions: whom mail is not to reach."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Query, Request, Response

from gatepost_core.domain.suppressing import Reason, Scope, entered
from gatepost_core.service import suppressions
from gatepost_core.service.views import suppression_data
from gatepost_dashboard.api import answers, bodies, reading
from gatepost_dashboard.api.acting import Acting
from gatepost_dashboard.api.lists import Account, After, Limit, Since, Text, Until, listed
from gatepost_dashboard.http import cursor

router = APIRouter(prefix="/suppressions", tags=["suppressions"])
_NAME: Final = "suppressions"


@router.get("", response_model=answers.Suppressions)
def list_suppressions(  # noqa: PLR0913, PLR0917 - what can be asked for
    acting: Acting,
    request: Request,
    response: Response,
    address: Annotated[Text, Query(description="What would match this address or domain.")] = "",
    reason: Annotated[Reason | None, Query(description="Of this reason.")] = None,
    scope: Annotated[Scope | None, Query(description="Of this scope.")] = None,
    removed: Annotated[bool, Query(description="Those that were lifted as well.")] = False,
    since: Since = None,
    until: Until = None,
    account: Account = None,
    limit: Limit = 100,
    after: After = "",
) -> dict[str, Any]:
    """List suppressions, the newest first."""
    wanted = suppressions.Wanted(account or "", address, reason, scope, since, until, removed)
    found = suppressions.page(acting, wanted, limit, cursor.read(_NAME, after))
    items = [suppression_data(one, acting.now) for one in found.items]
    return listed(request, response, _NAME, items, found.cursor, limit)


@router.post("", status_code=201, response_model=answers.Suppression)
def make_suppression(
    acting: Acting,
    response: Response,
    new: Annotated[bodies.NewSuppression, Body(examples=[{"account": "acme", "address": "ann@example.org"}])],
) -> dict[str, Any]:
    """Suppress an address, a domain, or all domains below one (*.example.org)."""
    with reading.of("address"):
        address = entered(new.address)
    made = suppressions.add(
        acting,
        suppressions.New(address, new.account, new.credential, new.tag, new.expires_at, new.note),
    )
    response.headers["Location"] = f"/api/v1/suppressions/{made.id}"
    return suppression_data(made, acting.now)


@router.get("/{number}", response_model=answers.Suppression)
def show_suppression(acting: Acting, number: str) -> dict[str, Any]:
    """Show one suppression, by its id."""
    return suppression_data(suppressions.show(acting, number), acting.now)


@router.delete("/{number}", status_code=204)
def lift_suppression(acting: Acting, number: str) -> None:
    """Lift one: mail reaches the address again, unless another one stands."""
    suppressions.lift_one(acting, number)
