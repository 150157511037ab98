"""Messages in the hold queue, as people and programs see them."""

from __future__ import annotations

from typing import Any

from gatepost_cli import behind, listing
from gatepost_cli.output import Table, emit, emit_each, on_terminal, stamp
from gatepost_cli.session import CliSession
from gatepost_core.store.holding import Held
from gatepost_core.store.holding import held as held_messages

_COLUMNS = ("since", "id", "queue id", "credential", "sender", "recipients", "subject", "reason")


def show(session: CliSession, credential: str, limit: int, after: str) -> None:
    """Print those that are held, the newest first."""
    missing = behind.look(session)
    with session.journal() as connection:
        walk = held_messages(connection, limit, after, credential=credential)
        if on_terminal(session):
            emit(session, None, Table(_COLUMNS, [_row(one) for one in walk], prose=_COLUMNS[-3:], flow=True))
        else:
            emit_each(session, _COLUMNS, walk, _data, _row)
    listing.tell(session, walk)
    behind.tell(session, missing)


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
    )


def _data(one: Held) -> dict[str, Any]:
    record = one.record
    return {
        "id": record.id,
        "queue_id": record.queue_id,
        "since": stamp(one.since),
        "reason": one.reason,
        "credential": record.username,
        "sender": record.sender,
        "recipients": list(record.recipients),
        "subject": record.subject,
        "size": record.size,
    }
