"""Which messages the mail log's queue ids are, and events of what it tells of them. Pure.

Event ids are made of the message and what the line says, so a line that is read again changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from gatepost_core.domain import ids
from gatepost_core.domain.outcomes import Logged, Told
from gatepost_core.domain.spooled import Event
from gatepost_core.store.ingest.intake import Noted

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# A queue id without enable_long_queue_ids comes again: its message was accepted at most so long before.
OLDEST: Final = timedelta(days=30)
# A message of which the log tells nothing for so long, by the log's clock, is not in the queue.
UNTRACED: Final = timedelta(seconds=60)
# By which a clock may be wrong, or a line's time cut.
_SLACK: Final = timedelta(minutes=5)


class Message(NamedTuple):
    """A message that has a queue id: its own id, and when it was accepted."""

    id: str
    at: datetime


def queue_ids(logged: Logged) -> set[str]:
    """Return the queue ids that something is told of."""
    return {one.queue_id for one in logged.told} | set(logged.queued)


def newest(rows: Iterable[tuple[str, str, str]]) -> dict[str, Message]:
    """Return the newest message of each queue id; rows: queue id, message id, time as in ``spooled.Row``."""
    found: dict[str, Message] = {}
    for queue_id, number, created in rows:
        known = found.get(queue_id)
        if known is None or known.id < number:
            found[queue_id] = Message(number, datetime.fromisoformat(created).replace(tzinfo=UTC))
    return found


def fits(message: Message, at: int) -> bool:
    """Say whether a line of that time can be about a message with its queue id."""
    age = moment(at) - message.at
    return -_SLACK <= age <= OLDEST


def first_id(at: int) -> str:
    """Return the least id that a message of that time can have."""
    return ids.first(at // 1000)


def apart(one: str, other: str) -> int:
    """Return the microseconds from one message id to another, later one."""
    first, second = (int.from_bytes(ids.to_bytes(number)[:6], "big") for number in (one, other))
    return (second - first) * 1000


def early(told: Told, message: Message, line_at: int) -> bool:
    """Say whether a message that the log does not show may only have been accepted too late for that."""
    return "untraced" in told.detail and moment(line_at) - message.at < UNTRACED


def noted(told: Told, message: Message) -> Noted:
    """Return an event of a message. It is never before the message was accepted."""
    at = max(moment(told.at), message.at + timedelta(milliseconds=1))
    number = int((at - _EPOCH) / timedelta(milliseconds=1)).to_bytes(6, "big")
    own = hashlib.sha256(f"{message.id}\0{told.type}\0{told.line}".encode("utf-8", "replace")).digest()
    detail = json.dumps(told.detail, ensure_ascii=False, separators=(",", ":"))
    return Noted(
        ids.from_bytes(number + own[:7]), Event(told.type, message.id, told.recipient, spelled(at), detail)
    )


def moment(at: int) -> datetime:
    """Return the time of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=at)


def spelled(at: datetime) -> str:
    """Return a time as ``spooled.Row`` has it."""
    return at.isoformat(" ", "microseconds")[:26]
