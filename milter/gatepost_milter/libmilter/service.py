"""What the callbacks of one process share: who decides, the journal, the threads, and what is under way.

A verdict is waited for; an accepted message's record is on disk by then. Draining begins no new message
and waits for those that were begun.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from gatepost_core.domain import MessageRecord, StoreUnavailable
from gatepost_milter.judge import Accepted, Later, Verdict
from gatepost_milter.libmilter.crew import Crew, Ticket
from gatepost_milter.libmilter.holdings import Holdings
from gatepost_milter.transaction import Transaction

# Below Postfix's milter_content_timeout (120 s in our main.cf): what takes this long is not coming.
_VERDICT_SECONDS = 60.0


class DecideFunction(Protocol):
    """What decides about a message: ``gatepost_milter.judge.Judge.at_once``."""

    def __call__(self, transaction: Transaction, queue_id: str) -> Verdict | Later:
        """Return the verdict, or what gives it in a thread of Python's own. Both raise StoreUnavailable."""
        ...


class Journal(Protocol):
    """Where records go: ``gatepost_core.store.journal.JournalWriter``."""

    def expect(self, sender: object) -> None:
        """Note that a record may come soon."""
        ...

    def expect_no_more(self, sender: object) -> None:
        """Note that it has come, or does not."""
        ...

    def put(
        self, record: MessageRecord, done: Callable[[StoreUnavailable | None], None], *, here: bool
    ) -> None:
        """Commit soon, ``here`` in this thread; ``done`` is called then, with the reason when it failed."""
        ...


class Report(Protocol):
    """Who hears of every answer: log and metrics (``gatepost_milter.libmilter.report.Reporter``)."""

    def __call__(self, transaction: Transaction, queue_id: str, verdict: Verdict, seconds: float) -> None:
        """Note an answer and how long it took."""
        ...


class Service:
    """What the callbacks of one process share: judge, journal, threads, and what is under way."""

    def __init__(
        self,
        decide: DecideFunction,
        journal: Journal,
        crew: Crew,
        report: Report,
        holdings: Holdings,
    ) -> None:
        self._decide = decide
        self.holdings = holdings
        self.journal = journal
        self._crew = crew
        self.report = report
        # Taken by itself: a Condition's own way to do so is two more Python functions, for each message.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._under_way = 0
        self._ended = time.monotonic()
        self._draining = False

    def verdict(self, transaction: Transaction, queue_id: str) -> Verdict:
        """Return the verdict on a message; an accepted one's record is on disk by then.

        Raises StoreUnavailable, TimeoutError, or what went wrong in the crew's thread.
        """
        verdict = self._decide(transaction, queue_id)
        ticket: Ticket[Verdict] = Ticket()
        if callable(verdict):
            later = verdict
            self._crew.put(lambda: self._work(later, ticket))
        else:
            self._conclude(verdict, ticket)
        return ticket.wait(_VERDICT_SECONDS)

    def _work(self, later: Later, ticket: Ticket[Verdict]) -> None:
        try:
            self._conclude(later(), ticket)
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            ticket.fail(error)

    def _conclude(self, verdict: Verdict, ticket: Ticket[Verdict]) -> None:
        """Fill a ticket, once the record of an accepted message is on disk."""
        if not isinstance(verdict, Accepted):
            ticket.fill(verdict)
            return

        def written(error: StoreUnavailable | None) -> None:
            if error is None:
                ticket.fill(verdict)
            else:
                ticket.fail(error)

        self.journal.put(verdict.record, written, here=True)

    def begin(self) -> bool:
        """Count a message at its end as under way; False when no new one is begun any more."""
        with self._lock:
            if self._draining:
                return False
            if not self._under_way:
                self._ended = time.monotonic()
            self._under_way += 1
            return True

    def end(self) -> None:
        """Note that a message that was begun is answered."""
        with self._lock:
            self._under_way -= 1
            self._ended = time.monotonic()
            if self._draining:
                self._changed.notify_all()

    def stuck_for(self, seconds: float) -> str:
        """Say why no message can be answered any more, for so many seconds now; empty while some can.

        A single one that takes long is answered after ``_VERDICT_SECONDS``.
        """
        if self._crew.stuck_for(seconds):
            return f"all threads have been at one message for {seconds:g} s"
        if self._under_way and time.monotonic() - self._ended > seconds + _VERDICT_SECONDS:
            return f"no message was answered for {seconds + _VERDICT_SECONDS:g} s"
        return ""

    def drain(self, seconds: float) -> bool:
        """Begin no new message; wait until those under way are answered. Says whether all were."""
        with self._changed:
            self._draining = True
            return self._changed.wait_for(lambda: not self._under_way, seconds)
