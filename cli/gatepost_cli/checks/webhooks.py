"""Webhooks: those that fail, or were switched off since they did. A customer's matter, and so a note."""

from __future__ import annotations

from collections.abc import Iterator

from gatepost_cli.checks.base import Context, Finding, good, note
from gatepost_cli.webhook_view import ailing


def webhooks(context: Context) -> Iterator[Finding]:
    """Look at how each fares."""
    with context.directory() as directory, context.journal() as journal:
        ill, number = ailing(directory, journal)
    for one, state in ill:
        advice = f"see 'gatepost webhook log {one.handle}', and tell the account {one.account}"
        yield note(f"webhook {one.handle} to {one.url}", state, "events are taken", advice)
    yield good("webhooks", f"{number - len(ill)} of {number} take events, or have none to take")
