"""/api/v1/messages: what is recorded of each accepted message."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response

from gatepost_core.domain import outcomes
from gatepost_core.service import messages
from gatepost_core.service.events import event_data
from gatepost_core.service.views import held_data, message_data, order_data, recipient_data
from gatepost_dashboard.api import answers
from gatepost_dashboard.api.acting import Acting
from gatepost_dashboard.api.lists import Account, After, Limit, Since, Text, Until, listed
from gatepost_dashboard.http import cursor

router = APIRouter(prefix="/messages", tags=["messages"])
_NAME: Final = "messages"
_HELD: Final = "held"
Status = Literal[("", *outcomes.STATES)]  # type: ignore[valid-type]  # names that the core has


@router.get("", response_model=answers.Messages)
def list_messages(  # noqa: PLR0913, PLR0917 - what can be asked for
    acting: Acting,
    request: Request,
    response: Response,
    sender: Annotated[Text, Query(alias="from", description="Whose author is that address or domain.")] = "",
    to: Annotated[Text, Query(description="With a recipient of that address or domain.")] = "",
    subject: Annotated[Text, Query(description="With that in the subject, in any case.")] = "",
    tag: Annotated[Text, Query(description="With that tag.")] = "",
    credential: Annotated[Text, Query(description="Of this credential.")] = "",
    status: Annotated[Status, Query(description="What became of it, at worst.")] = "",
    since: Since = None,
    until: Until = None,
    account: Account = None,
    limit: Limit = 100,
    after: After = "",
) -> dict[str, Any]:
    """List messages, the newest first. What has no index is looked for a moment: then 'next' goes on."""
    wanted = messages.Wanted(
        credential=credential,
        sender=sender,
        to=to,
        subject=subject,
        tag=tag,
        status=status,
        since=since,
        until=until,
        probes=False,
    )
    found = messages.page(acting, wanted, account, limit, cursor.read(_NAME, after))
    items = [message_data(one) for one in found.items]
    return listed(request, response, _NAME, items, found.cursor, limit)


@router.get("/held", response_model=answers.HeldMessages)
def list_held_messages(
    acting: Acting,
    request: Request,
    response: Response,
    credential: Annotated[Text, Query(description="Of this credential.")] = "",
    account: Account = None,
    limit: Limit = 100,
    after: After = "",
) -> dict[str, Any]:
    """List messages in the hold queue, and why they are there."""
    found = messages.held(acting, credential, account, limit, cursor.read(_HELD, after))
    items = [held_data(one) for one in found.items]
    return listed(request, response, _HELD, items, found.cursor, limit)


@router.get("/{message}", response_model=answers.MessageShown)
def show_message(acting: Acting, message: str) -> dict[str, Any]:
    """Show one message, by its id, Postfix's queue id or its Message-ID, and what became of it."""
    record, recipients, events, seen = messages.show(acting, message)
    return {
        **message_data(record),
        "recipient_states": [recipient_data(one) for one in recipients],
        "events": [event_data(one, seen.names) for one in events],
    }


@router.post("/{message}/release", status_code=202, response_model=answers.Order)
def release_message(acting: Acting, message: str) -> dict[str, Any]:
    """Have a held message sent, by its host; whether it may be is judged anew."""
    return order_data(messages.ask(acting, message, "release"))


@router.post("/{message}/drop", status_code=202, response_model=answers.Order)
def drop_message(acting: Acting, message: str) -> dict[str, Any]:
    """Have a held message removed for good, by its host."""
    return order_data(messages.ask(acting, message, "drop"))
