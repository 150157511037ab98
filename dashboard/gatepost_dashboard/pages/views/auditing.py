"""The audit log: who changed what, with what was there before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from gatepost_core.service import auditing
from gatepost_core.service.showing import naming
from gatepost_dashboard.pages.asked import Asked, query_of
from gatepost_dashboard.pages.table import Table

table = Table()
KIND: Final = "audit"
_PAGE: Final = 50
_SHOWN: Final = 2_000


@table.page("/audit", kind=KIND)
def listed(asked: Asked) -> Response:
    """Show it, the newest first."""
    query, chosen = asked.query.get("q", "").strip()[:320], asked.query.get("account", "")
    after = asked.query.get("after", "")[:40]
    found = auditing.page(asked.context, chosen or None, query, _PAGE, after)
    rows = [
        {
            "time": one.at,
            "actor": one.actor,
            "kind": one.actor_kind,
            "address": one.address,
            "account": one.account,
            "action": one.action,
            "object": one.object,
            "changes": _changes(one.before or {}, one.after or {}),
        }
        for one in found.items
    ]
    return asked.page(
        "audit.html",
        rows=rows,
        query=query,
        accounts=naming.accounts(asked.context),
        chosen=chosen,
        cursor=found.cursor,
        stopped=found.stopped,
        link=query_of(q=query, account=chosen),
    )


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return of each field what was there and what is, as texts; '' where it was not."""
    names = dict.fromkeys((*before, *after))
    return [(name, _text(before, name), _text(after, name)) for name in names]


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if value in (None, "", [], {}):
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text[:_SHOWN]
