"""Statistics: what was sent and what became of it, by credential, tag or domain, as a table and as CSV."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Final

from starlette.responses import Response

from gatepost_core.service import stats
from gatepost_core.service.showing import naming
from gatepost_core.service.stats import TYPES, Counts, Wanted
from gatepost_dashboard.pages.asked import Asked, query_of
from gatepost_dashboard.pages.table import Table

table = Table()
KIND: Final = "stats"
BYS: Final = {"credential": "Credential", "tag": "Tag", "domain": "Domain"}
_SPANS: Final = {"24h": ("24 hours", 1), "7d": ("7 days", 7), "30d": ("30 days", 30), "1y": ("a year", 365)}
_ROWS: Final = 200
_SHOWN: Final = ("accepted", "delivered", "failed", "bounced", "complaint", "opened", "clicked")
# A spreadsheet takes a text that begins so for a formula, and runs it.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@table.page("/statistics", kind=KIND)
def show(asked: Asked) -> Response:
    """Show it as a table."""
    by, span, chosen = _chosen(asked)
    found = _read(asked, by, span, chosen)
    return asked.page(
        "statistics.html",
        rows=[_row(one) for one in found[:_ROWS]],
        left_out=max(len(found) - _ROWS, 0),
        by=by,
        bys=BYS,
        span=span,
        spans={name: text for name, (text, _) in _SPANS.items()},
        accounts=naming.accounts(asked.context),
        chosen=chosen,
        links={
            "by": query_of(span=span, account=chosen),
            "span": query_of(by=by, account=chosen),
            "csv": query_of(by=by, span=span, account=chosen),
        },
    )


@table.page("/statistics.csv", kind=KIND)
def download(asked: Asked) -> Response:
    """Give all of it as CSV (RFC 4180)."""
    by, span, chosen = _chosen(asked)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([by, "recipients", *TYPES, "opened by people", "clicked by people"])
    for one in _read(asked, by, span, chosen):
        counts = [one.events.get(type_, 0) for type_ in TYPES]
        people = [one.kinds.get(type_, {}).get("person", 0) for type_ in ("opened", "clicked")]
        writer.writerow([_plain(one.key or "(others)"), one.recipients, *counts, *people])
    name = f'attachment; filename="gatepost-{by}-{span}.csv"'
    return Response(text.getvalue(), media_type="text/csv", headers={"Content-Disposition": name})


def _chosen(asked: Asked) -> tuple[str, str, str]:
    by, span = asked.query.get("by", "credential"), asked.query.get("span", "7d")
    return (
        by if by in BYS else "credential",
        span if span in _SPANS else "7d",
        asked.query.get("account", ""),
    )


def _read(asked: Asked, by: str, span: str, chosen: str) -> list[Counts]:
    since = asked.context.now - timedelta(days=_SPANS[span][1])
    return stats.read(asked.context, Wanted(by, since), chosen or None)  # type: ignore[arg-type]  # one of BYS


def _row(one: Counts) -> dict[str, object]:
    return {
        "key": one.key,
        "recipients": one.recipients,
        "counts": {type_: one.events.get(type_, 0) for type_ in _SHOWN},
        "people": {type_: one.kinds.get(type_, {}).get("person", 0) for type_ in ("opened", "clicked")},
    }


def _plain(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
