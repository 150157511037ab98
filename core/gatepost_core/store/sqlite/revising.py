"""Events that were recorded already and are something else now.

Verdicts of clicks that others of the same message show to be wrong; and failures whose class became known
later, which whoever follows events has to see once more.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Final

from gatepost_core.domain.spooled import HONEY, Event
from gatepost_core.store.ingest.verdicts import BESIDE, HONEY_SECONDS, VERDICT, Click, beside_honey, machines
from gatepost_core.store.paging import since
from gatepost_core.store.sqlite.driver import time_in

_CLICKED: Final = "clicked"
# Of one message, around what is new. A process of the tracker keeps no more of one in an hour, usually.
_MOST: Final = 1_000
_NEAR: Final = (
    "SELECT id, recipient, time, detail FROM events WHERE message_id = ? AND id >= ? AND type = ? "
    "ORDER BY id LIMIT ?"
)
_REVISE: Final = "UPDATE events SET detail = ? WHERE id = ?"
_WHERE: Final = "SELECT node, sequence, detail FROM events WHERE id = ?"
_ANEW: Final = "UPDATE events SET node = ?, sequence = ?, detail = ? WHERE id = ?"
# Whether all that is to go to webhooks up to there is in the outbox, or was.
_SENT: Final = (
    "SELECT EXISTS (SELECT 1 FROM webhook_positions WHERE endpoint = '' AND node = ?1 AND sequence >= ?2) "
    "AND NOT EXISTS (SELECT 1 FROM webhook_positions WHERE endpoint != '' AND node = ?1 AND sequence < ?2)"
)


def revised(connection: sqlite3.Connection, events: Iterable[Event]) -> list[tuple[Event, Event]]:
    """Look at the clicks around new ones, which are recorded already; return what has another verdict now.

    Each as it was, and as it is.
    """
    first: dict[str, str] = {}
    for event in events:
        if event.type == _CLICKED:
            first[event.message] = min(event.at, first.get(event.message, event.at))
    changed = []
    for message, at in first.items():
        begin = since(time_in(at) - timedelta(seconds=HONEY_SECONDS))
        rows = connection.execute(_NEAR, (message, begin, _CLICKED, _MOST)).fetchall()
        near = {number: Event(_CLICKED, message, *told) for number, *told in rows}
        clicks = [_click(number, event) for number, event in near.items()]
        found = dict.fromkeys(machines(clicks), VERDICT) | dict.fromkeys(beside_honey(clicks), BESIDE)
        for number, verdict in found.items():
            before = near[number]
            now = before._replace(detail=_with_verdict(before.detail, verdict))
            connection.execute(_REVISE, (now.detail, number))
            changed.append((before, now))
    return changed


def tell_again(
    connection: sqlite3.Connection,
    changed: Mapping[str, tuple[Event, Event]],
    node: int,
    number: Callable[[], int],
) -> None:
    """Have failures that are of another class now followed once more, as the newest of this node.

    They go to no webhook a second time: their ids are known there. What they went there as is noted.
    """
    for one, (before, _) in changed.items():
        *place, text = connection.execute(_WHERE, (one,)).fetchone()
        if connection.execute(_SENT, place).fetchone()[0]:
            sent = {"sent_as": json.loads(before.detail)["class"]}
            text = json.dumps(json.loads(text) | sent, ensure_ascii=False, separators=(",", ":"))
        connection.execute(_ANEW, (node, number(), text, one))


def _click(number: str, event: Event) -> Click:
    told = json.loads(event.detail)
    return Click(
        number,
        time_in(event.at).timestamp(),
        str(told.get("url", "")),
        str(told.get("verdict", "")),
        told.get("reason") == HONEY,
    )


def _with_verdict(detail: str, found: tuple[str, str]) -> str:
    verdict, reason = found
    told = {**json.loads(detail), "verdict": verdict, "reason": reason}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))
