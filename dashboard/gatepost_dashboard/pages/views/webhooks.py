"""Webhooks: where events are sent, and how that fares; switched on and off, removed."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from starlette.responses import Response

from gatepost_core.service import webhooks
from gatepost_core.service.showing import naming
from gatepost_core.service.webhooks import Shown
from gatepost_dashboard.pages.asked import Asked
from gatepost_dashboard.pages.table import Table

table = Table()
KIND: Final = "webhooks"
_DONE: Final = {
    "on": "Events are sent there again, those from now on.",
    "off": "No more events are sent there.",
    "removed": "The webhook is removed.",
}


@table.page("/webhooks", kind=KIND)
def listed(asked: Asked) -> Response:
    """Show all."""
    chosen = asked.query.get("account", "")
    found = webhooks.every(asked.context, chosen or None)
    return asked.page(
        "webhooks.html",
        rows=[_row(one) for one in found],
        accounts=naming.accounts(asked.context),
        chosen=chosen,
        writes=asked.may(KIND, write=True),
        notice=_DONE.get(asked.query.get("done", ""), ""),
    )


@table.change("/webhooks/{webhook}/state", kind=KIND)
def set_state(asked: Asked) -> Response:
    """Switch one on or off."""
    on = asked.form.get("state") == "on"
    (webhooks.enable if on else webhooks.disable)(asked.context, asked.places["webhook"])
    return asked.go(f"/webhooks?done={'on' if on else 'off'}")


@table.change("/webhooks/{webhook}/remove", kind=KIND)
def remove(asked: Asked) -> Response:
    """Remove one, whose address was typed."""
    one = webhooks.show(asked.context, asked.places["webhook"]).endpoint
    if asked.form.get("url") != one.url:
        text = "What was typed is not its address, so nothing was removed."
        return asked.told(422, "Not removed", text, back=f"/webhooks#{quote(one.handle)}")
    webhooks.remove(asked.context, one.handle)
    return asked.go("/webhooks?done=removed")


def _row(one: Shown) -> dict[str, Any]:
    endpoint, health = one.endpoint, one.health
    return {
        "id": endpoint.handle,
        "account": endpoint.account,
        "url": endpoint.url,
        "label": endpoint.label,
        "types": endpoint.types,
        "on": endpoint.state.value == "active",
        "why": endpoint.off_reason,
        "waiting": health.waiting if health else 0,
        "failing": health.failing_since if health else None,
        "answer": health.last_answer if health else "",
        "last": health.last_ok_at if health else None,
    }
