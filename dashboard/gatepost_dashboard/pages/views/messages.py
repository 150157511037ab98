"""Messages: searched, one with its timeline, and held ones released or dropped."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gatepost_core.domain import MessageRecord, NotFound, StoreError
from gatepost_core.service import messages
from gatepost_core.service.messages import Verb
from gatepost_core.service.showing import held as orders
from gatepost_core.service.showing import naming
from gatepost_dashboard.pages.asked import Asked, query_of
from gatepost_dashboard.pages.happening import timeline
from gatepost_dashboard.pages.searching import MOST, NAMES, Search, SearchError, read
from gatepost_dashboard.pages.table import Table

table = Table()
KIND: Final = "messages"
_PAGE: Final = 50
_RECIPIENTS: Final = 50
_EVENTS: Final = 300
# What still changes by itself, and is looked at again while the page is open.
_MOVING: Final = ("accepted", "queued", "deferred", "held", "delivered")
_DONE: Final = {
    "release": "Its host was asked to release it. What comes of it is shown here.",
    "drop": "Its host was asked to drop it.",
}


@table.page("/messages", kind=KIND)
def listed(asked: Asked) -> Response:
    """Show messages that are looked for, the newest first."""
    query, chosen = asked.query.get("q", "").strip(), asked.query.get("account", "")
    after, why, search = asked.query.get("after", "")[:40], "", Search()
    try:
        search = read(query, asked.context.now)
    except SearchError as error:
        why = f"{error}."
    if search.name:
        try:
            return asked.go(f"/messages/{messages.show(asked.context, search.name).record.id}")
        except NotFound:
            why = "There is no message by that name."
    rows, cursor, stopped = [], "", False
    if not why:
        try:
            found = messages.page(asked.context, search.wanted, chosen or None, _PAGE, after)
            rows, cursor, stopped = found.items, found.cursor, found.stopped
        except NotFound:
            raise
        except StoreError as error:
            why = f"{error}."
    return asked.page(
        "messages.html",
        422 if why else 200,
        rows=[_row(one) for one in rows],
        query=query[:MOST],
        names=NAMES,
        why=why,
        cursor=cursor,
        stopped=stopped,
        live=not after and not why and not stopped,
        accounts=naming.accounts(asked.context),
        chosen=chosen,
        link=query_of(q=query[:MOST], account=chosen),
    )


@table.page("/messages/{name}", kind=KIND)
def show(asked: Asked) -> Response:
    """Show one."""
    found = messages.show(asked.context, asked.places["name"])
    one, held = found.record, found.record.status == "held"
    reasons = [event.detail.get("reason", "") for event in found.events if event.type == "held"]
    return asked.page(
        "message.html",
        one=one,
        timeline=timeline(found.events)[-_EVENTS:],
        cut=_EVENTS if len(found.events) > _EVENTS else 0,
        recipients=found.recipients[:_RECIPIENTS],
        more_recipients=max(len(found.recipients) - _RECIPIENTS, 0),
        held=held,
        held_why=str(reasons[-1]) if reasons else "",
        asked=orders.asked(asked.context, one) if held else None,
        writes=asked.may(KIND, write=True),
        live=one.status in _MOVING,
        credential=asked.may("credentials"),
        notice=_DONE.get(asked.query.get("done", ""), ""),
    )


@table.change("/messages/{name}/release", kind=KIND)
def release(asked: Asked) -> Response:
    """Have a held message sent."""
    return _ordered(asked, "release")


@table.change("/messages/{name}/drop", kind=KIND)
def drop(asked: Asked) -> Response:
    """Have a held message removed for good."""
    return _ordered(asked, "drop")


def _ordered(asked: Asked, verb: Verb) -> Response:
    one = messages.ask(asked.context, asked.places["name"], verb)
    return asked.go(f"/messages/{one.message}?done={verb}")


def _row(one: MessageRecord) -> dict[str, object]:
    return {
        "id": one.id,
        "subject": one.subject,
        "from_": one.header_from or f"<{one.sender}>",
        "recipients": one.recipients,
        "status": one.status,
        "mode": one.mode.value,
        "username": one.username,
        "time": one.created_at,
    }
