"""/api/v1/webhooks: where accounts want their events sent."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Request, Response

from gatepost_core.service import webhooks
from gatepost_core.service.views import webhook_data
from gatepost_dashboard.api import answers, bodies
from gatepost_dashboard.api.acting import Acting
from gatepost_dashboard.api.lists import Account, After, Limit, listed
from gatepost_dashboard.http import cursor

router = APIRouter(prefix="/webhooks", tags=["webhooks"])
_NAME: Final = "webhooks"


@router.get("", response_model=answers.Webhooks)
def list_webhooks(
    acting: Acting,
    request: Request,
    response: Response,
    account: Account = None,
    limit: Limit = 100,
    after: After = "",
) -> dict[str, Any]:
    """List webhooks, the oldest first, and how each fares."""
    place = cursor.number(_NAME, after) or 0
    found = [one for one in webhooks.every(acting, account) if one.endpoint.id > place]
    items = [webhook_data(*one) for one in found[:limit]]
    last = str(found[limit - 1].endpoint.id) if len(found) > limit else ""
    return listed(request, response, _NAME, items, last, limit)


@router.get("/{handle}", response_model=answers.Webhook)
def show_webhook(acting: Acting, handle: str) -> dict[str, Any]:
    """Show one webhook; its secrets are shown nowhere."""
    return webhook_data(*webhooks.show(acting, handle))


@router.patch("/{handle}", response_model=answers.Webhook)
def change_webhook(
    acting: Acting,
    handle: str,
    change: Annotated[bodies.WebhookChange, Body(examples=[{"types": ["bounced", "complaint"]}])],
) -> dict[str, Any]:
    """Change what is named. Only operators allow addresses that are not public."""
    values = {name: getattr(change, name) for name in change.model_fields_set}
    return webhook_data(webhooks.change(acting, handle, values), None)


@router.post("/{handle}/enable", response_model=answers.Webhook)
def enable_webhook(acting: Acting, handle: str) -> dict[str, Any]:
    """Have events sent again, those from now on."""
    return webhook_data(webhooks.enable(acting, handle), None)


@router.post("/{handle}/disable", response_model=answers.Webhook)
def disable_webhook(acting: Acting, handle: str) -> dict[str, Any]:
    """Have no more events sent."""
    return webhook_data(webhooks.disable(acting, handle), None)


@router.delete("/{handle}", status_code=204)
def remove_webhook(acting: Acting, handle: str) -> None:
    """Remove a webhook with its secrets; what waits for it is not sent."""
    webhooks.remove(acting, handle)
