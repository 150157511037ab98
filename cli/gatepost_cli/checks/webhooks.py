"""What waits for somebody, and so notes: webhooks that fail, suspended credentials, held messages."""

from __future__ import annotations

from collections.abc import Iterator

from gatepost_cli.checks.base import Context, Finding, good, note
from gatepost_cli.output import stamp
from gatepost_cli.webhook_view import ailing
from gatepost_core.store.credentials.suspensions import suspended
from gatepost_core.store.holding.held import waiting


def webhooks(context: Context) -> Iterator[Finding]:
    """Look at how each fares."""
    with context.directory() as directory, context.journal() as journal:
        ill, number = ailing(directory, journal)
    for one, state in ill:
        advice = f"see 'gatepost webhook log {one.handle}', and tell the account {one.account}"
        yield note(f"webhook {one.handle} to {one.url}", state, "events are taken", advice)
    yield good("webhooks", f"{number - len(ill)} of {number} take events, or have none to take")


def suspensions(context: Context) -> Iterator[Finding]:
    """Look who was suspended and not enabled since."""
    with context.directory() as directory:
        found = suspended(directory)
    for username, one in found:
        advice = f"see docs/suspension.md; 'gatepost credential enable {username}' lifts it"
        yield note(f"credential {username}", f"suspended: {one}", "active", advice)
    yield good("suspensions", f"credentials suspended: {len(found)}")


def held(context: Context) -> Iterator[Finding]:
    """Look how many messages wait to be released, and warn of what would let them out."""
    with context.journal() as journal:
        number, first = waiting(journal)
    if not number:
        yield good("held messages", "none")
        return
    advice = "see 'gatepost message held'; never 'postsuper -r': what is queued anew leaves, past all milters"
    yield note("held messages", f"{number:,}, the first since {stamp(first)}", "released or dropped", advice)
