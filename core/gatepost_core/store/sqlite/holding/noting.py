"""Which messages are held, noted with the events that tell it, in their transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import Final

from gatepost_core.domain.outcomes import BY_ITSELF, HELPER_ASKED, STAYS
from gatepost_core.domain.texts import moment
from gatepost_core.store.ingest.intake import Noted

_REASON_MOST: Final = 500
_HELD: Final = (
    "INSERT INTO holdings (message_id, node, since_at, reason) VALUES (?, ?, ?, ?) ON CONFLICT (message_id) "
    "DO UPDATE SET since_at = excluded.since_at, reason = excluded.reason, ended_at = NULL "
    "WHERE ended_at <= excluded.since_at"
)
# Whoever has asked already for something else is not overruled.
_RELEASE: Final = (
    "INSERT OR IGNORE INTO hold_orders (message_id, node, verb, asked_by, asked_at, due_at, state, "  # noqa: S608
    f"account_id) VALUES (?1, ?, 'release', '{BY_ITSELF}', ?, ?, 'open', "
    "coalesce((SELECT account_id FROM messages WHERE id = ?1), 0))"
)
# What is in the hold queue is neither tried nor gone.
_ENDING: Final = frozenset(("released", "refused", "delivered", "deferred", "failed", "bounced"))
# Of these others tell as well, in reports that anybody can write who was sent some mail: only the log counts.
_REPORTED: Final = frozenset(("delivered", "deferred", "failed", "bounced"))
_ANY: Final = "SELECT EXISTS (SELECT 1 FROM holdings WHERE ended_at IS NULL)"
_ENDED: Final = (
    "UPDATE holdings SET ended_at = ?2 WHERE message_id = ?1 AND ended_at IS NULL AND since_at <= ?2"
)


# Of what Postfix's own log tells only that somebody did it.
_BY_HAND: Final = frozenset(("released", "failed"))
# Of an order that was carried out then, or may have been.
_ASKED: Final = (
    "SELECT verb, asked_by FROM hold_orders WHERE message_id = ?1 AND asked_at <= ?2 AND "  # noqa: S608
    f"(state = 'done' AND done_at >= ?3 OR state = 'open' AND note LIKE '{HELPER_ASKED}%')"
)
_VERBS: Final = {"released": "release", "failed": "drop"}


def with_names(connection: sqlite3.Connection, told: Iterable[Noted]) -> list[Noted]:
    """Return events with who asked for what they tell: that a message was released, or removed by hand."""
    return [_with_name(connection, one) if one.event.type in _BY_HAND else one for one in told]


def _with_name(connection: sqlite3.Connection, one: Noted) -> Noted:
    event = one.event
    if event.recipient:
        return one
    second = event.at[:19]  # of many a log no more is known
    row = connection.execute(_ASKED, (event.message, f"{second}.999999", second)).fetchone()
    if row is None or row[0] != _VERBS[event.type]:
        return one
    detail = json.loads(event.detail) | {"by": row[1]}
    return Noted(one.id, event._replace(detail=json.dumps(detail, ensure_ascii=False, separators=(",", ":"))))


def note(connection: sqlite3.Connection, node: int, told: Iterable[Noted], logged: Collection[str]) -> None:
    """Note what new events of a node's messages tell of holding. Raises the driver's errors.

    ``logged``: ids of those that the mail log told of.
    """
    there: bool | None = None
    for one in sorted(told, key=_at):
        event = one.event
        if event.type == "held":
            detail = json.loads(event.detail)
            if detail.get("source") == STAYS:
                continue
            reason = str(detail.get("reason", ""))[:_REASON_MOST]
            connection.execute(_HELD, (event.message, node, event.at, reason))
            if detail.get("source") == "milter" and (due := _column(detail.get("release_at"))):
                connection.execute(_RELEASE, (event.message, node, event.at, due))
            there = True
        elif event.type in _ENDING and (event.type not in _REPORTED or one.id in logged):
            if there is None:
                there = bool(connection.execute(_ANY).fetchone()[0])
            if there:
                connection.execute(_ENDED, (event.message, event.at))


def _column(release_at: object) -> str:
    """Return a time in UTC of RFC 3339 as a column has it; '' for what is none."""
    if not isinstance(release_at, str):
        return ""
    with suppress(ValueError):
        return f"{moment(release_at)[:-1].replace('T', ' ')}.000000"
    return ""


def _at(one: Noted) -> str:
    return one.event.at
