"""Claims of submissions in an SQLite file of their own: ``domain.limits.submissions.Submissions``.

Like the counters of limits, it is written with messages and must not empty the directory's cache. A claim
may be lost by a power cut, what was accepted may not: the client may have been told so. A file that is
damaged is set aside, and what was claimed in it forgotten: such a message is accepted anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from gatepost_core.domain import ids
from gatepost_core.domain.limits.submissions import Claimed, ClaimState, Submission
from gatepost_core.store.sqlite.counts import claiming
from gatepost_core.store.sqlite.counts.opened import Mended, Opened

_NAME: Final = "submissions.db"


class SqliteRepeats(Opened):
    """Reads which message a repeated one led to. For many threads."""

    def first_of(self, queue_id: str) -> str:
        """Return the message that was repeated, '' for none. Raises StoreUnavailable."""
        return self._doing(claiming.first_of, queue_id)[0]


class SqliteSubmissions(Mended):
    """Keeps claims. ``damaged`` hears where a file that was damaged has gone. For many threads."""

    def __init__(self, file: Path, *, damaged: Callable[[str], object] = lambda _: None) -> None:
        super().__init__(file, claiming.FORM, damaged=damaged)

    def claim(self, wanted: Submission, message_id: str, queue_id: str, now: int, most: int) -> Claimed:
        """Claim all recipients that do not have it yet, or none. Raises StoreUnavailable."""
        return self._mending(claiming.claim, wanted, ids.to_bytes(message_id), queue_id, now, most)

    def accept(self, message_id: str, recipients: int, state: ClaimState) -> bool:
        """Have what a message claimed accepted, or queued, durably. Raises StoreUnavailable."""
        return self._mending(claiming.accept, ids.to_bytes(message_id), recipients, state)

    def give_back(self, message_id: str) -> bool:
        """Forget what a message has claimed, unless it is queued. Raises StoreUnavailable."""
        return self._mending(claiming.give_back, ids.to_bytes(message_id))

    def accepted(self, after: str, most: int) -> Sequence[str]:
        """Return messages that are accepted and not settled. Raises StoreUnavailable."""
        if not self._file.exists():  # nobody has claimed anything: none is made for this
            return []
        return self._mending(claiming.accepted, ids.to_bytes(after) if after else b"", most)

    def queued(self, messages: Iterable[str]) -> None:
        """Note that messages are queued. Raises StoreUnavailable."""
        self._mending(claiming.queued, [ids.to_bytes(one) for one in messages])

    def sweep(self, oldest: str) -> int:
        """Forget some of what is older. Raises StoreUnavailable."""
        if not self._file.exists():
            return 0
        return self._mending(claiming.sweep, ids.to_bytes(oldest))

    def first_of(self, queue_id: str) -> str:
        """Return the message that was repeated, '' for none. Raises StoreUnavailable."""
        return self._mending(claiming.first_of, queue_id)

    def _made(self, connection: sqlite3.Connection) -> None:
        claiming.make(connection)


def _beside(counters: Path) -> Path:
    return counters.with_name(_NAME)


def open_submissions(
    counters: Path, *, damaged: Callable[[str], object] = lambda _: None
) -> SqliteSubmissions:
    """Return what keeps claims beside a file of counters. Nothing is opened before it is used."""
    return SqliteSubmissions(_beside(counters), damaged=damaged)


def open_repeats(counters: Path) -> SqliteRepeats:
    """Return what reads which message was repeated. Nothing is opened before it is used."""
    return SqliteRepeats(_beside(counters))
