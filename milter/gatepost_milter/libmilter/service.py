"""What the callbacks of one process share: who decides, the spool, the threads, and what is under way.

A verdict is waited for; an accepted message's record is on disk by then. Draining begins no new message
and waits for those that were begun.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from gatepost_core.domain import Defer, MessageRecord, Reject
from gatepost_core.domain.decision.refusals import Refused
from gatepost_core.domain.limits.submissions import Submission
from gatepost_core.domain.rules.places import Origin
from gatepost_core.domain.suppressing import Suppression
from gatepost_milter.holding import Hold
from gatepost_milter.judge import Accepted, Later, Verdict
from gatepost_milter.libmilter.counters import Taken
from gatepost_milter.libmilter.crew import Crew, Ticket
from gatepost_milter.libmilter.holdings import Holdings
from gatepost_milter.libmilter.turns import PATIENCE, Task
from gatepost_milter.submitted import Repeated
from gatepost_milter.transaction import Transaction

Answer = Verdict | Repeated
# Below Postfix's milter_content_timeout (120 s in our main.cf): what takes this long is not coming.
_VERDICT_SECONDS = 60.0


class DecideFunction(Protocol):
    """What decides about a message: ``gatepost_milter.judge.Judge.at_once``."""

    def __call__(self, transaction: Transaction, queue_id: str) -> Verdict | Later:
        """Return the verdict, or what gives it in a thread of Python's own. Both raise StoreUnavailable."""
        ...


class KeepFunction(Protocol):
    """Where records go: ``gatepost_milter.libmilter.records.Records``."""

    def __call__(
        self,
        record: MessageRecord,
        suppressed: Mapping[str, Suppression],
        held: Hold | None,
        senders: Sequence[str],
    ) -> None:
        """Have a record on disk, whom its message does not reach, why it is held and whom Sender names.

        Raises SpoolError.
        """
        ...


class Limits(Protocol):
    """What counts messages: ``gatepost_milter.libmilter.counters.Limits``."""

    def take(self, accepted: Accepted) -> Reject | Defer | Taken:
        """Take what a message wants, or refuse it; a limit may hold it. Raises StoreUnavailable."""
        ...

    def give_back(self, accepted: Accepted) -> None:
        """Undo that."""
        ...


class Submissions(Protocol):
    """What keeps messages apart from those that came before (``gatepost_milter.libmilter.submissions``)."""

    def claim(self, accepted: Accepted, wanted: Submission) -> Accepted | Repeated | Reject | Defer:
        """Return a message with recipients that lack it so far, or its answer. Raises StoreUnavailable."""
        ...

    def keep(self, accepted: Accepted, wanted: Submission) -> Defer | None:
        """Note that its record is on disk; None where it is still its own. Raises StoreUnavailable."""
        ...

    def give_back(self, accepted: Accepted) -> None:
        """Undo both."""
        ...


class Places(Protocol):
    """What holds messages from new places: ``gatepost_milter.libmilter.places``."""

    def judged(self, accepted: Accepted, origin: Origin) -> Accepted | Defer:
        """Return a message, held where its place is new; 451 where that cannot be told."""
        ...


class ReferFunction(Protocol):
    """What gives refusals their references: ``gatepost_milter.libmilter.refusals.Refusals``."""

    def __call__(self, transaction: Transaction, queue_id: str, refused: Refused) -> Refused:
        """Return a refusal as the client is to hear it. Never raises."""
        ...


class Report(Protocol):
    """Who hears of every answer: log and metrics (``gatepost_milter.libmilter.report.Reporter``)."""

    def __call__(self, transaction: Transaction, queue_id: str, verdict: Answer, seconds: float) -> None:
        """Note an answer and how long it took."""
        ...


class Service:
    """What the callbacks of one process share: judge, spool, threads, and what is under way."""

    def __init__(  # noqa: PLR0913, PLR0917 - all that has a say about a message
        self,
        decide: DecideFunction,
        keep: KeepFunction,
        crew: Crew,
        report: Report,
        holdings: Holdings,
        limits: Limits,
        submissions: Submissions,
        places: Places,
        refer: ReferFunction,
    ) -> None:
        self._decide = decide
        self.refer = refer
        self.holdings = holdings
        self._keep = keep
        self._crew = crew
        self._limits = limits
        self._submissions = submissions
        self._places = places
        self.report = report
        # Taken by itself: a Condition's own way to do so is two more Python functions, for each message.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._under_way = 0
        self._ended = time.monotonic()
        self._draining = False

    def verdict(self, transaction: Transaction, queue_id: str) -> Answer:
        """Return the verdict on a message; an accepted one's record is on disk by then.

        Raises StoreUnavailable, SpoolError, TimeoutError, or what went wrong in the crew's thread.
        """
        decided = self._decide(transaction, queue_id)
        if callable(decided):
            ticket: Ticket[Verdict] = Ticket()
            later = decided
            task = self._crew.put(transaction.username, lambda: _work(later, ticket))
            decided = ticket.result() if ticket.within(PATIENCE) else self._pressed_for(ticket, task)
        # In the callback's own thread: the crew is for what computes, and a disk is waited for together.
        if not isinstance(decided, Accepted):
            return decided
        return self._kept(decided) if decided.submission is None else self._submitted(decided)

    def _submitted(self, accepted: Accepted) -> Answer:
        """Have a message with a key of its sender's own kept, unless it came before."""
        assert accepted.submission is not None  # noqa: S101  # asked before
        claimed = self._submissions.claim(accepted, accepted.submission)
        if not isinstance(claimed, Accepted):
            return claimed
        try:
            verdict = self._kept(claimed)
            if isinstance(verdict, Accepted) and claimed.submission is not None:
                verdict = self._submissions.keep(claimed, claimed.submission) or verdict
        except BaseException:
            self.undo(claimed)
            raise
        if not isinstance(verdict, Accepted):
            self.undo(claimed)
        return verdict

    def _kept(self, accepted: Accepted) -> Verdict:
        """Have limits count a message and its record on disk, or neither."""
        if not accepted.charges:
            return self._placed(accepted)
        taken = self._limits.take(accepted)
        if isinstance(taken, Reject | Defer):
            return taken
        accepted, tell = taken
        try:
            verdict = self._placed(accepted)
        except BaseException:
            self.undo(accepted)
            raise
        if not isinstance(verdict, Accepted):
            self.undo(accepted)
            return verdict
        tell()
        return verdict

    def _placed(self, accepted: Accepted) -> Accepted | Defer:
        """Have the record of a message on disk, which is held if it comes from a new place."""
        if accepted.origin is not None:
            judged = self._places.judged(accepted, accepted.origin)
            if not isinstance(judged, Accepted):
                return judged
            accepted = judged
        self._keep(accepted.record, accepted.suppressed, accepted.held, accepted.senders)
        return accepted

    def undo(self, accepted: Accepted) -> None:
        """Have limits count a message no longer that is refused after all, and its key be free again."""
        self._limits.give_back(accepted)
        if accepted.submission is not None:
            self._submissions.give_back(accepted)

    def _pressed_for(self, ticket: Ticket[Verdict], task: Task) -> Verdict:
        """Return a verdict that is long in coming.

        The crew is asked to begin its message, ever less often, until it has.
        """
        until, seconds = time.monotonic() + _VERDICT_SECONDS, PATIENCE
        while (left := until - time.monotonic()) > 0:
            waits = self._crew.relieve(task)
            if ticket.within(min(seconds, left) if waits else left):
                return ticket.result()
            seconds *= 1.5
        raise TimeoutError(f"no result within {_VERDICT_SECONDS:g} s")

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


def _work(later: Later, ticket: Ticket[Verdict]) -> None:
    try:
        verdict = later()
    except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
        ticket.fail(error)
    else:
        ticket.fill(verdict)
