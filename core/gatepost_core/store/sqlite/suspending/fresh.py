"""To how many recipients a message is the first of its account, and to how many nothing is left without it.

A message adds those to whom nothing was out when it was accepted. Once it is refused it takes away those to
whom nothing is out any more. Both go by the order of events, not by what the journal has now: so each
recipient is one, or none, however many messages to it are refused. In doubt, as where others have
sent so much to an address that it is not seen, a message adds nothing and takes nothing away.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

# The newest messages to each recipient of a message: whose, whether they were live, and whether they were not
# queued. A recipient to whom there is none has one row without a message.
_MOST: Final = 100
_BESIDE: Final = (
    "SELECT r.address, m.id, m.account_id, m.mode != 'sandbox', m.status = 'not-queued' FROM recipients AS r "
    "LEFT JOIN recipients AS o ON o.address = r.address AND o.message_id IN (SELECT i.message_id FROM "
    "recipients AS i WHERE i.address = r.address AND i.message_id {} ?1 ORDER BY i.message_id DESC LIMIT ?2) "
    "LEFT JOIN messages AS m ON m.id = o.message_id WHERE r.message_id = ?1 ORDER BY r.address"
)
_EARLIER: Final = _BESIDE.format("<")
_OTHERS: Final = _BESIDE.format("!=")
_ACCEPTED: Final = "SELECT sequence FROM events WHERE id = ?"
_REFUSED: Final = "SELECT min(sequence) FROM events WHERE message_id = ? AND +type = 'refused'"


class _Beside(NamedTuple):
    """A message to the same address."""

    message: str
    account: int
    live: bool
    unqueued: bool


class Fresh:
    """Reads a journal, for one look at its events: of each message it reads the events once.

    ``rows``: how many it has read of recipients and of messages beside.
    """

    def __init__(self, journal: sqlite3.Connection) -> None:
        self._journal = journal
        self._sequences: dict[tuple[str, str], int | None] = {}
        self.rows = 0

    def added(self, message: str, account: int, sequence: int) -> int:
        """Return to how many recipients nothing was out when a message was accepted, by that event."""
        return sum(not self._known(earlier, account, sequence) for earlier in self._beside(_EARLIER, message))

    def taken(self, message: str, account: int, sequence: int) -> int:
        """Return to how many recipients nothing is out since a message was refused, by that event."""
        found = self._beside(_OTHERS, message)
        return sum(self._alone(others, message, account, sequence) for others in found)

    def _known(self, earlier: list[_Beside], account: int, sequence: int) -> bool:
        own = [one for one in earlier if one.account == account]
        # What is beyond is hidden by others; hidden by what the account itself sent, it is new.
        hidden = len(earlier) == _MOST and 2 * len(own) <= _MOST
        return hidden or any(self._out(one, sequence) for one in own)

    def _alone(self, others: list[_Beside], message: str, account: int, sequence: int) -> bool:
        return len(others) < _MOST and not any(
            one.account == account and self._out(one, sequence) and not self._after(one, message, sequence)
            for one in others
        )

    def _beside(self, query: str, message: str) -> Iterator[list[_Beside]]:
        """Yield of each recipient the newest messages to it; one query for all."""
        rows = self._journal.execute(query, (message, _MOST))
        for _, of_address in groupby(rows, itemgetter(0)):
            found = [_Beside(*row) for _, *row in of_address if row[0] is not None]
            self.rows += max(len(found), 1)
            yield found

    def _out(self, one: _Beside, sequence: int) -> bool:
        """Say whether a message is live, and not refused before an event."""
        refused = self._sequence(_REFUSED, one.message) if one.live and one.unqueued else None
        return one.live and (refused is None or refused > sequence)

    def _after(self, one: _Beside, message: str, sequence: int) -> bool:
        """Say whether a message came after another was refused: it adds its recipients itself."""
        accepted = self._sequence(_ACCEPTED, one.message) if one.message > message else None
        return accepted is not None and accepted > sequence

    def _sequence(self, query: str, message: str) -> int | None:
        if (query, message) not in self._sequences:
            row = self._journal.execute(query, (message,)).fetchone()
            self._sequences[query, message] = row[0] if row is not None else None
        return self._sequences[query, message]
