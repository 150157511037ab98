"""Unsubscribes of messages that are not kept any more: the address that they came to names the credential.

Such an event waits for its message, in vain, and goes after a day; who it suppresses is noted before. Which
tags the message had nobody knows by then, so it counts for the credential.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from gatepost_core.domain import ids
from gatepost_core.domain.suppressing import ADDRESS_MOST, UNSUBSCRIBED, Reason, Suppression, spelled
from gatepost_core.store.sqlite.driver import time_in, time_out

# The record of a message that was just sent may be on its way still.
LATE: Final = timedelta(minutes=10)
EVERY_SECONDS: Final = 60.0
_WAITING = (
    "SELECT id, message_id, recipient, time, detail FROM pending_events WHERE type = ? AND kept_at < ? "
    "ORDER BY kept_at DESC LIMIT ?"
)
# Of a day, the newest.
_MOST: Final = 10_000
_CREDENTIAL = "SELECT username, account_id, created_at FROM credentials WHERE id = ?"


class OptOuts:
    """Looks now and then, and tells each once; made anew where what it told was not committed.

    ``clock``: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due = 0.0
        self._told: set[str] = set()

    def look(
        self, directory: sqlite3.Connection, journal: sqlite3.Connection, now: datetime
    ) -> list[Suppression]:
        """Return whom they suppress. Raises the driver's errors."""
        if self._clock() < self._due:
            return []
        self._due = self._clock() + EVERY_SECONDS
        waiting = journal.execute(_WAITING, (UNSUBSCRIBED, time_out(now - LATE), _MOST)).fetchall()
        new = [row for row in waiting if row[0] not in self._told]
        self._told = {row[0] for row in waiting}
        return [one for row in new if (one := _suppression(directory, row)) is not None]


def _suppression(directory: sqlite3.Connection, row: Any) -> Suppression | None:
    """Return whom an event suppresses; None where the credential is gone, or is another one now."""
    number, message, recipient, at, detail = row
    credential = directory.execute(_CREDENTIAL, (_credential_id(detail),)).fetchone()
    address = spelled(recipient)
    if credential is None or time_in(credential[2]) > ids.time_of(message) or len(address) > ADDRESS_MOST:
        return None
    return Suppression(
        account_id=credential[1],
        address=address,
        reason=Reason.UNSUBSCRIBE,
        since=time_in(at),
        credential=credential[0],
        event=number,
        message=message,
    )


def _credential_id(detail: str) -> int | None:
    text = str(json.loads(detail).get("credential_id", ""))
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None
