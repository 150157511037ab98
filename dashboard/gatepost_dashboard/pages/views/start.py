"""The first page: counts and rates over a time, and what needs attention."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from gatepost_core.service.showing import counting, naming, overview
from gatepost_core.service.showing.overview import Needs
from gatepost_dashboard.pages.asked import Asked, query_of
from gatepost_dashboard.pages.charting import chart
from gatepost_dashboard.pages.table import Table

table = Table()
_SPANS: Final = {"24h": "24 hours", "7d": "7 days", "30d": "30 days"}
_LASTS: Final = {"24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}


@table.page("/")
def home(asked: Asked) -> Response:
    """Lead to the first page that the user may see."""
    return asked.go(asked.home)


@table.page("/start", kind="stats")
def show(asked: Asked) -> Response:
    """Show it."""
    span, chosen = asked.query.get("span", "24h"), asked.query.get("account", "")
    span = span if span in _SPANS else "24h"
    now = asked.context.now
    since = now - _LASTS[span]
    counted = counting.counts(asked.context, since, chosen or None)
    totals = overview.totals(counted.hours)
    needs = overview.attention(asked.context, chosen or None)
    return asked.page(
        "start.html",
        span=span,
        spans=_SPANS,
        totals=totals,
        rates=(
            (totals.bounce_rate, "Bounces of mailboxes that are none", overview.BOUNCES),
            (totals.complaint_rate, "Complaints", overview.COMPLAINTS),
        ),
        chart=chart(counted.hours, since, now),
        whole=counted.whole,
        attention=[{"text": one.text, "level": one.level.value, "path": _path(one)} for one in needs],
        accounts=naming.accounts(asked.context),
        chosen=chosen,
        link=query_of(account=chosen),
    )


def _path(one: Needs) -> str:
    """Return where it is shown, '' where it is on no page."""
    if one.kind == "credentials":
        return f"/credentials/{quote(one.name, safe='')}"
    if one.kind == "webhooks":
        return f"/webhooks#{quote(one.name, safe='')}"
    return "/messages?q=status:held" if one.kind == "messages" else ""
