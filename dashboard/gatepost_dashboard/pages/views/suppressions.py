"""Suppressions: whom mail does not reach; searched, entered, lifted."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gatepost_core.domain import BadValue
from gatepost_core.domain.suppressing import NoAddressError, Reason, entered
from gatepost_core.service import suppressions
from gatepost_core.service.showing import naming
from gatepost_core.service.suppressions import New, Wanted
from gatepost_core.service.views.suppressions import suppression_state
from gatepost_dashboard.pages.asked import Asked, query_of
from gatepost_dashboard.pages.forms import FormError
from gatepost_dashboard.pages.table import Table

table = Table()
KIND: Final = "suppressions"
_PAGE: Final = 50
_REASONS: Final = tuple(one.value for one in Reason)
_DONE: Final = {
    "added": "Mail to that address is refused from now on.",
    "lifted": "Mail reaches that address again. What happened before does not bring it back.",
}


@table.page("/suppressions", kind=KIND)
def listed(asked: Asked) -> Response:
    """Show them, the newest first."""
    return _list(asked)


@table.change("/suppressions", kind=KIND)
def add(asked: Asked) -> Response:
    """Enter an address or a domain."""
    names = naming.accounts(asked.context)
    account = asked.form.get("account", 64) or (names[0] if len(names) == 1 else "")
    try:
        new = New(entered(asked.form.get("address", 400)), account or None, note=asked.form.get("note", 400))
        suppressions.add(asked.context, new)
    except (NoAddressError, BadValue, FormError) as error:
        return _list(asked, why=f"{error}.")
    return asked.go("/suppressions?done=added")


@table.change("/suppressions/{suppression}/lift", kind=KIND)
def lift(asked: Asked) -> Response:
    """Lift one."""
    suppressions.lift_one(asked.context, asked.places["suppression"])
    return asked.go("/suppressions?done=lifted")


def _list(asked: Asked, why: str = "") -> Response:
    query, reason = asked.query.get("q", "").strip()[:320], asked.query.get("reason", "")
    chosen, names = asked.query.get("account", ""), naming.accounts(asked.context)
    reason = reason if reason in _REASONS else ""
    wanted = Wanted(account=chosen, address=query, reason=Reason(reason) if reason else None)
    found = suppressions.page(asked.context, wanted, _PAGE, asked.query.get("after", "")[:40])
    now = asked.context.now
    rows = [
        {
            "id": one.id,
            "account": one.account,
            "address": one.suppression.address,
            "reason": one.suppression.reason.value,
            "state": suppression_state(one.suppression, now),
            "scope": one.suppression.credential or "all of its mail",
            "tag": one.suppression.tag,
            "since": one.suppression.since,
            "expires_at": one.suppression.expires_at,
            "detail": one.suppression.detail,
            "message": one.suppression.message,
        }
        for one in found.items
    ]
    return asked.page(
        "suppressions.html",
        422 if why else 200,
        rows=rows,
        query=query,
        reason=reason,
        reasons=_REASONS,
        accounts=names,
        chosen=chosen,
        cursor=found.cursor,
        stopped=found.stopped,
        link=query_of(q=query, reason=reason, account=chosen),
        writes=asked.may(KIND, write=True),
        why=why,
        typed=asked.form.get("address") if why else "",
        notice=_DONE.get(asked.query.get("done", ""), ""),
    )
