"""Messages in the hold queue, as people and programs see them."""

from __future__ import annotations

import syslog
from collections.abc import Sequence
from typing import Final

import click

from gatepost_cli import behind, listing
from gatepost_cli.output import Table, emit, emit_each, on_terminal, stamp
from gatepost_cli.session import CliSession
from gatepost_cli.waiting import wait
from gatepost_core.domain.outcomes import BY_ITSELF, OPEN
from gatepost_core.service import messages as service
from gatepost_core.service.views import held_data, order_data
from gatepost_core.store.holding.held import Held
from gatepost_core.store.holding.held import held as held_messages
from gatepost_core.store.holding.orders import Asked, asked

_COLUMNS = ("since", "id", "queue id", "credential", "sender", "recipients", "subject", "reason", "asked")
_ASKED = ("id", "asked", "state", "reason")
_DONE: Final = {"release": "released", "drop": "dropped"}
_SAID: Final = {"stays": "stays held", "gone": "was not held any more", OPEN: "not done yet"}


def show(session: CliSession, credential: str, limit: int, after: str) -> None:
    """Print those that are held, the newest first."""
    missing = behind.look(session)
    with session.journal() as connection:
        walk = held_messages(connection, limit, after, credential=credential)
        if on_terminal(session):
            emit(session, None, Table(_COLUMNS, [_row(one) for one in walk], prose=_COLUMNS[-4:], flow=True))
        else:
            emit_each(session, _COLUMNS, walk, held_data, _row)
    listing.tell(session, walk)
    behind.tell(session, missing)


def carry_out(session: CliSession, verb: service.Verb, names: Sequence[str], seconds: float) -> None:
    """Ask for messages to be released or dropped, and print what comes of it in so many seconds.

    Raises NotFound, StoreError; nothing is asked for then.
    """
    by = session.context.actor.name
    wanted = list(dict.fromkeys(service.ask_all(session.context, names, verb)))
    syslog.openlog("gatepost", 0, syslog.LOG_AUTHPRIV)
    for number in wanted:
        syslog.syslog(syslog.LOG_NOTICE, f"{verb} of held message {number} asked for by {by}")
    found = wait(
        lambda: _known(session, wanted), seconds, over=lambda found: all(one.state != OPEN for one in found)
    )
    rows = [(one.message, verb, _state(one), one.note) for one in found]
    emit(session, [order_data(one) for one in found], Table(_ASKED, rows, prose=("reason",)))
    if any(one.state != "done" for one in found):
        raise click.exceptions.Exit(1)


def _known(session: CliSession, wanted: list[str]) -> list[Asked]:
    with session.journal() as connection:
        known = asked(connection, wanted)
    return [known[number] for number in wanted if number in known]


def _state(one: Asked) -> str:
    return _DONE[one.verb] if one.state == "done" else _SAID.get(one.state, one.state)


def _told(one: Asked | None) -> str:
    if one is None:
        return ""
    why = f": {one.note}" if one.note else ""
    when = stamp(one.due if one.by == BY_ITSELF else one.at)
    return f"{one.verb}, by {one.by} at {when}: {_state(one)}{why}"


def _row(one: Held) -> tuple[str, ...]:
    record = one.record
    return (
        stamp(one.since) or "",
        record.id,
        record.queue_id,
        record.username,
        f"<{record.sender}>",
        " ".join(record.recipients),
        record.subject,
        one.reason,
        _told(one.asked),
    )
