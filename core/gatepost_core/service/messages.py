"""Messages that were accepted: found, shown with what became of them, released and dropped where held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal, NamedTuple

from gatepost_core.domain import MessageRecord
from gatepost_core.service.changing import changing
from gatepost_core.service.context import Context
from gatepost_core.service.reach import Reach, message, reach
from gatepost_core.store import events, messages
from gatepost_core.store.events import Event
from gatepost_core.store.holding import held as holding
from gatepost_core.store.holding import orders
from gatepost_core.store.holding.held import Held
from gatepost_core.store.holding.orders import Asked
from gatepost_core.store.messages import Recipient, Wanted
from gatepost_core.store.paging import Page

__all__ = ["KIND", "Held", "Shown", "Verb", "Wanted", "ask", "ask_all", "held", "page", "show"]

KIND: Final = "messages"
Verb = Literal["release", "drop"]
# Of one message; the newest are shown.
EVENTS_MOST: Final = 1_000


class Shown(NamedTuple):
    """A message, what became of its recipients, what happened to it, and the names of accounts."""

    record: MessageRecord
    recipients: Sequence[Recipient]
    events: Sequence[Event]
    reach: Reach


def page(
    context: Context, wanted: Wanted, account: str | None, limit: int, after: str = ""
) -> Page[MessageRecord]:
    """Return the newest messages that are asked for, at most ``limit``, and where to go on.

    Those of doctor's are left out unless their credential is asked for.
    """
    context.need(KIND, write=False)
    seen = reach(context, account)
    asked = replace(
        wanted,
        account_id=seen.account_id,
        since=seen.later(wanted.since),
        probes=wanted.probes or bool(wanted.credential),
    )
    with context.store.journal() as connection:
        return messages.page(connection, asked, limit, after)


def show(context: Context, name: str) -> Shown:
    """Return one message, by its id, Postfix's queue id or its Message-ID."""
    context.need(KIND, write=False)
    seen = reach(context)
    with context.store.journal() as connection:
        record = message(connection, seen, name)
        recipients = messages.recipients_of(connection, record)
        told = list(events.each(connection, events.Wanted(message=record.id), EVENTS_MOST))
    return Shown(record, recipients, sorted(told, key=lambda one: (one.time, one.id)), seen)


def held(context: Context, credential: str, account: str | None, limit: int, after: str = "") -> Page[Held]:
    """Return the newest messages that are held, at most ``limit``, and where to go on."""
    context.need(KIND, write=False)
    seen = reach(context, account)
    with context.store.journal() as connection:
        return holding.page(
            connection, limit, after, credential=credential, account_id=seen.account_id, since=seen.since
        )


def ask(context: Context, name: str, verb: Verb) -> Asked:
    """Ask for a held message to be released or dropped, which its host does; return the order.

    Raises NotFound, StoreError for one that is not held.
    """
    (number,) = ask_all(context, [name], verb)
    with context.store.journal() as connection:
        return orders.asked(connection, [number])[number]


def ask_all(context: Context, names: Sequence[str], verb: Verb) -> list[str]:
    """Ask the same of several, or of none of them; return their ids."""
    context.need(KIND, write=True)
    seen = reach(context)
    with changing(context) as work, context.store.journal(write=True) as connection:
        found = []
        for name in names:
            # A Message-ID may be somebody else's too: an account's own message is named by its id.
            wanted = name if seen.account_id is None else message(connection, seen, name).id
            record = orders.ask(connection, wanted, verb, context.actor.name, work.now)
            owner = seen.names.get(record.account_id)
            work.note(f"message.{verb}", record.id, owner, None, {"credential": record.username})
            found.append(record.id)
    return found
