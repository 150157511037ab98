"""To how many recipients a message is the first of its account, and to how many nothing is left without it.

A message adds those to whom nothing was out when it was accepted. Once it is refused it takes away those to
whom nothing is out any more. Both go by the order of events, not by what the journal has now: so each
recipient is one, or none, however many messages to it are refused. In doubt, as where others have
sent so much to an address that it is not seen, a message adds nothing and takes nothing away.
"""

from __future__ import annotations

import sqlite3
from typing import Final, NamedTuple

_RECIPIENTS: Final = "SELECT address FROM recipients WHERE message_id = ?"
# The newest messages to an address: whose, whether they were live, and whether they were not queued.
_MOST: Final = 100
_BESIDE: Final = (
    "SELECT m.id, m.account_id, m.mode != 'sandbox', m.status = 'not-queued' FROM recipients AS r "
    "JOIN messages AS m ON m.id = r.message_id WHERE r.address = ? AND r.message_id {} ? "
    "ORDER BY r.message_id DESC LIMIT ?"
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
    """Reads a journal, for one look at its events: of each message it reads the events once."""

    def __init__(self, journal: sqlite3.Connection) -> None:
        self._journal = journal
        self._sequences: dict[tuple[str, str], int | None] = {}

    def added(self, message: str, account: int, sequence: int) -> int:
        """Return to how many recipients nothing was out when a message was accepted, by that event."""
        return sum(not self._known(address, message, account, sequence) for address in self._to(message))

    def taken(self, message: str, account: int, sequence: int) -> int:
        """Return to how many recipients nothing is out since a message was refused, by that event."""
        return sum(self._alone(address, message, account, sequence) for address in self._to(message))

    def _to(self, message: str) -> list[str]:
        return [address for (address,) in self._journal.execute(_RECIPIENTS, (message,))]

    def _known(self, address: str, message: str, account: int, sequence: int) -> bool:
        earlier = self._beside(_EARLIER, address, message)
        own = [one for one in earlier if one.account == account]
        return any(self._out(one, sequence) for one in own) or (len(earlier) == _MOST and not own)

    def _alone(self, address: str, message: str, account: int, sequence: int) -> bool:
        others = self._beside(_OTHERS, address, message)
        return len(others) < _MOST and not any(
            one.account == account and self._out(one, sequence) and not self._after(one, message, sequence)
            for one in others
        )

    def _beside(self, query: str, address: str, message: str) -> list[_Beside]:
        return [_Beside(*row) for row in self._journal.execute(query, (address, message, _MOST))]

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
