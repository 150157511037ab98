"""Sender domains: which there are, and what to publish in the DNS for each."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gatepost_core.service import domains
from gatepost_core.service.showing import dns_records, naming
from gatepost_core.service.views import keys_data
from gatepost_dashboard.pages.asked import Asked
from gatepost_dashboard.pages.table import Table

table = Table()
KIND: Final = "domains"


@table.page("/domains", kind=KIND)
def listed(asked: Asked) -> Response:
    """Show all."""
    names, chosen = naming.accounts(asked.context), asked.query.get("account", "")
    found = domains.every(asked.context, chosen or None)
    return asked.page("domains.html", rows=found, accounts=names, chosen=chosen)


@table.page("/domains/{domain}", kind=KIND)
def show(asked: Asked) -> Response:
    """Show one, with its records and keys."""
    one = domains.show(asked.context, asked.places["domain"])
    hostname, now = asked.parts.settings.postfix.hostname, asked.context.now
    return asked.page(
        "domain.html",
        one=one,
        records=dns_records.records(one, hostname, now),
        explanation=dns_records.explanation(hostname),
        keys=keys_data(one, now),
    )
