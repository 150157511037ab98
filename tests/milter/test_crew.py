"""Handing messages over to threads, and draining: every ticket is answered, in any order of things."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

import pytest

from gatepost_core.domain import Defer, MessageRecord, Reject
from gatepost_core.domain.limits.submissions import Submission
from gatepost_core.domain.rules.places import Origin
from gatepost_core.domain.suppressing import Suppression
from gatepost_core.spool import SpoolError
from gatepost_milter.editing.message import Plan
from gatepost_milter.holding import Hold
from gatepost_milter.judge import Accepted, Later, Verdict
from gatepost_milter.libmilter.counters import Taken
from gatepost_milter.libmilter.crew import STAND_INS_MOST, Crew, Ticket
from gatepost_milter.libmilter.holdings import Holdings
from gatepost_milter.libmilter.service import Answer, Service
from gatepost_milter.libmilter.turns import OWN_MOST, PATIENCE, Task
from gatepost_milter.transaction import Transaction
from tests.core.test_spooled import RECORD
from tests.waiting import until

REFUSED = Reject(550, "5.7.1", "no")


class Spool:
    """Has a record on disk when it is told to, or fails."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self.go = threading.Event()
        self.failure: SpoolError | None = None

    def __call__(
        self,
        record: MessageRecord,
        suppressed: Mapping[str, Suppression],
        held: Hold | None,
        senders: Sequence[str],
    ) -> None:
        assert (record, suppressed, held, senders) == (RECORD, {}, None, ())
        self.arrived.set()
        assert self.go.wait(60)
        if self.failure is not None:
            raise self.failure


def service(decide: Callable[[Transaction, str], Verdict | Later], crew: Crew, spool: Spool) -> Service:
    class Decide:
        def __call__(self, transaction: Transaction, queue_id: str) -> Verdict | Later:
            return decide(transaction, queue_id)

    class Report:
        def __call__(self, transaction: Transaction, queue_id: str, verdict: Answer, seconds: float) -> None:
            """Tell nobody."""

    class Limits:
        def take(self, accepted: Accepted) -> Taken:
            raise AssertionError(accepted)

        def give_back(self, accepted: Accepted) -> None:
            raise AssertionError(accepted)

    class Submissions:
        """A message without a key of its sender's costs nothing: nobody is asked."""

        def claim(self, accepted: Accepted, wanted: Submission) -> Accepted:
            raise AssertionError(accepted, wanted)

        def keep(self, accepted: Accepted, wanted: Submission) -> None:
            raise AssertionError(accepted, wanted)

        def give_back(self, accepted: Accepted) -> None:
            raise AssertionError(accepted)

    class Places:
        """A message of a credential without a rule about them costs nothing, either."""

        def judged(self, accepted: Accepted, origin: Origin) -> Accepted:
            raise AssertionError(accepted, origin)

    def refer(transaction: Transaction, queue_id: str, refused: Reject | Defer) -> Reject | Defer:
        raise AssertionError(transaction, queue_id, refused)

    return Service(
        Decide(), spool, crew, Report(), Holdings(1_000_000), Limits(), Submissions(), Places(), refer
    )


def answer_of(
    serving: Service, username: str = "u", queue_id: str = "Q"
) -> tuple[threading.Thread, list[Answer | BaseException]]:
    answers: list[Answer | BaseException] = []

    def ask() -> None:
        try:
            answers.append(serving.verdict(Transaction(username, b"<>"), queue_id))
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            answers.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, answers


def test_an_accepted_message_is_answered_only_when_its_record_is_on_disk() -> None:
    spool = Spool()
    with Crew(2) as crew:
        thread, answers = answer_of(service(lambda *_: Accepted(Plan(), RECORD, ()), crew, spool))
        assert spool.arrived.wait(60)
        assert answers == []
        spool.go.set()
        thread.join(60)
    assert answers == [Accepted(Plan(), RECORD, ())]


def test_a_record_that_cannot_be_written_is_no_acceptance() -> None:
    spool = Spool()
    with Crew(1) as crew:
        thread, answers = answer_of(service(lambda *_: Accepted(Plan(), RECORD, ()), crew, spool))
        assert spool.arrived.wait(60)
        spool.failure = SpoolError("disk full")
        spool.go.set()
        thread.join(60)
    assert [type(answer) for answer in answers] == [SpoolError]


def test_a_refusal_writes_no_record() -> None:
    spool = Spool()
    with Crew(1) as crew:
        thread, answers = answer_of(service(lambda *_: REFUSED, crew, spool))
        thread.join(60)
    assert answers == [REFUSED]
    assert not spool.arrived.is_set()


def test_what_goes_wrong_in_the_crew_is_raised_where_the_answer_is_awaited() -> None:
    def broken(*_: object) -> Verdict:
        raise RuntimeError("boom")

    with Crew(1) as crew:
        first, answers = answer_of(service(broken, crew, Spool()))
        first.join(60)
        second, later = answer_of(service(lambda *_: REFUSED, crew, Spool()))
        second.join(60)
    assert [repr(answer) for answer in answers] == ["RuntimeError('boom')"]
    assert later == [REFUSED]  # its thread goes on


def test_a_ticket_that_nobody_fills_times_out() -> None:
    with pytest.raises(TimeoutError, match=r"0\.01 s"):
        Ticket[int]().wait(0.01)


def test_draining_waits_for_messages_at_their_end_and_begins_no_other() -> None:
    with Crew(1) as crew:
        serving = service(lambda *_: REFUSED, crew, Spool())
        assert serving.begin()
        assert not serving.drain(0.01)
        assert not serving.begin()
        drained: list[bool] = []
        waiter = threading.Thread(target=lambda: drained.append(serving.drain(10)))
        waiter.start()
        serving.end()
        waiter.join(60)
    assert drained == [True]


def test_a_crew_is_stuck_when_each_thread_is_and_not_while_one_still_works() -> None:
    gates, begun = [threading.Event(), threading.Event()], [threading.Event(), threading.Event()]

    def job(number: int) -> None:
        begun[number].set()
        gates[number].wait()

    with Crew(2) as crew:
        assert not crew.stuck_for(0.0)
        crew.put("a", lambda: job(0))
        begun[0].wait()
        assert not crew.stuck_for(0.0)
        crew.put("b", lambda: job(1))
        begun[1].wait()
        assert crew.stuck_for(0.0)
        assert not crew.stuck_for(3600.0)
        gates[0].set()
        while crew.stuck_for(0.0):  # the test's time limit ends it
            pass
        gates[1].set()


@pytest.mark.parametrize("username", ["hostile", "other"])
def test_a_message_is_answered_while_three_of_one_login_take_for_ever(username: str) -> None:
    """Whoever sends it, with that very login too, however few threads there are."""
    answered = threading.Event()

    def decide(_transaction: Transaction, queue_id: str) -> Later:
        def later() -> Verdict:
            if queue_id == "LONG":
                answered.wait()
            return REFUSED

        return later

    with Crew(1) as crew:
        serving = service(decide, crew, Spool())
        hostile = [answer_of(serving, "hostile", "LONG") for _ in range(3)]
        until(lambda: crew.stuck_for(0.0), "the first of them to begin")
        innocent, answers = answer_of(serving, username)
        innocent.join(60)
        assert answers == [REFUSED]
        answered.set()
        for thread, _ in hostile:
            thread.join()
    assert [found for _, found in hostile] == [[REFUSED]] * 3
    assert crew_threads() == 0


def test_a_message_begins_while_the_record_of_its_customers_last_one_is_written() -> None:
    """Both records go to disk together, as those of different customers do."""
    writing, second_came = threading.Event(), threading.Event()

    class Slow(Spool):
        def __call__(
            self,
            record: MessageRecord,
            suppressed: Mapping[str, Suppression],
            held: Hold | None,
            senders: Sequence[str],
        ) -> None:
            del record, suppressed, held, senders
            if writing.is_set():
                second_came.set()
            writing.set()
            assert second_came.wait(60)

    with Crew(1) as crew:
        serving = service(lambda *_: lambda: Accepted(Plan(), RECORD, ()), crew, Slow())
        first, answers = answer_of(serving)
        assert writing.wait(60)
        second, later = answer_of(serving)
        first.join(60)
        second.join(60)
    assert answers + later == [Accepted(Plan(), RECORD, ())] * 2


class Jobs:
    """Jobs that run until they are let go, one by one."""

    def __init__(self, crew: Crew) -> None:
        self.crew = crew
        self.begun: list[str] = []
        self.gates: dict[str, threading.Event] = {}
        self.changed = threading.Condition()

    def put(self, name: str) -> Task:
        """Put a job; its owner is the name's first letter."""
        gate = self.gates[name] = threading.Event()

        def job() -> None:
            with self.changed:
                self.begun.append(name)
                self.changed.notify_all()
            gate.wait()

        return self.crew.put(name[0], job)

    def wait_for(self, *names: str) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.begun) >= len(names), 60)
            assert self.begun == list(names)

    def let_go(self, *names: str) -> None:
        for name in names or self.gates:
            self.gates[name].set()


class Clock:
    """Seconds that pass when the test says so."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def crew_threads() -> int:
    return sum(thread.name == "crew" for thread in threading.enumerate())


def test_customers_take_turns_on_a_thread() -> None:
    with Crew(1) as crew:
        jobs = Jobs(crew)
        for name in ("a1", "a2", "a3", "b1"):
            jobs.put(name)
        jobs.wait_for("a1")
        jobs.let_go()
    assert jobs.begun == ["a1", "b1", "a2", "a3"]


def test_one_message_of_a_customer_runs_at_a_time_where_others_have_threads_to_themselves() -> None:
    with Crew(3) as crew:
        jobs = Jobs(crew)
        for name in ("a1", "a2", "b1"):
            jobs.put(name)
        jobs.let_go("a1")
        with jobs.changed:
            assert jobs.changed.wait_for(lambda: len(jobs.begun) == 3, 60)
        jobs.let_go()
    assert sorted(jobs.begun) == ["a1", "a2", "b1"]
    assert jobs.begun.index("a1") < jobs.begun.index("a2")


@pytest.mark.parametrize("waiting", ["a2", "b1"])
def test_a_thread_stands_in_when_what_is_waited_for_takes_long_and_ends_thereafter(waiting: str) -> None:
    clock = Clock()
    with Crew(1, clock) as crew:
        jobs = Jobs(crew)
        jobs.put("a1")
        jobs.wait_for("a1")
        task = jobs.put(waiting)
        clock.now += PATIENCE / 2
        assert crew.relieve(task)  # it waits still: the other may end soon
        assert jobs.begun == ["a1"]
        clock.now += PATIENCE
        assert not crew.relieve(task)
        jobs.wait_for("a1", waiting)
        assert crew_threads() == 2
        jobs.let_go(waiting)
        until(lambda: crew_threads() == 1, "the end of the stand-in")
        jobs.let_go()


def test_where_the_system_gives_no_thread_a_message_waits_and_keeps_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()

    def refused(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with Crew(1, clock) as crew:
        jobs = Jobs(crew)
        jobs.put("a1")
        jobs.wait_for("a1")
        tasks = [jobs.put("a2"), jobs.put("b1")]
        clock.now += 1
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refused)
            assert [crew.relieve(task) for task in tasks] == [True, True]
        jobs.let_go()
        with jobs.changed:
            assert jobs.changed.wait_for(lambda: len(jobs.begun) == 3, 60)
    assert sorted(jobs.begun) == ["a1", "a2", "b1"]
    assert crew_threads() == 0


def test_no_customer_gets_more_than_its_share_of_threads_and_all_together_get_so_many() -> None:
    clock = Clock()
    with Crew(1, clock) as crew:
        jobs = Jobs(crew)
        tasks = [jobs.put(f"{owner}{number}") for owner in "abcdefghijkl" for number in range(OWN_MOST + 2)]
        for _ in range(2 * len(tasks)):
            for task in tasks:
                clock.now += 1
                crew.relieve(task)
        assert crew_threads() == 1 + STAND_INS_MOST
        begun = [task.owner.name for task in tasks if not task.waits]
        assert len(begun) == 1 + STAND_INS_MOST
        assert max(begun.count(owner) for owner in begun) == OWN_MOST
        jobs.let_go()
    assert len(jobs.begun) == len(tasks)
    assert crew_threads() == 0


def test_what_waits_when_a_crew_ends_is_done_first() -> None:
    with Crew(2) as crew:
        jobs = Jobs(crew)
        names = [f"{owner}{number}" for number in range(20) for owner in "abc"]
        for name in names:
            jobs.put(name)
        ender = threading.Timer(0, jobs.let_go)
        ender.start()
    assert sorted(jobs.begun) == sorted(names)
    assert crew_threads() == 0


def test_a_job_that_raises_takes_neither_its_thread_nor_its_customers_turn() -> None:
    def broken() -> None:
        raise RuntimeError("boom")

    with Crew(1) as crew:
        crew.put("a", broken)
        ticket: Ticket[str] = Ticket()
        crew.put("a", lambda: ticket.fill("done"))
        assert ticket.wait(60) == "done"
    assert crew_threads() == 0


def test_those_that_stand_in_and_compute_count_when_a_crew_is_stuck_and_take_longer_together() -> None:
    clock = Clock()
    with Crew(1, clock) as crew:
        jobs = Jobs(crew)
        jobs.put("a1")
        jobs.wait_for("a1")
        clock.now += 10
        assert crew.stuck_for(10)
        task = jobs.put("b1")
        assert not crew.relieve(task)
        jobs.wait_for("a1", "b1")
        until(lambda: not crew.stuck_for(10), "the stand-in to be at its job")
        clock.now += 19
        assert not crew.stuck_for(10)
        clock.now += 1
        assert crew.stuck_for(10)
        jobs.let_go("b1")
        until(lambda: crew_threads() == 1, "the end of the stand-in")
        assert crew.stuck_for(10)  # the first one is at it still, and no other has its place
        jobs.let_go()


def test_who_is_away_is_not_stuck_and_has_a_stand_in() -> None:
    clock = Clock()
    gate, gone = threading.Event(), threading.Event()
    with Crew(1, clock) as crew:

        def waits_for_a_process() -> None:
            with crew.away():
                gone.set()
                gate.wait()

        crew.put("a", waits_for_a_process)
        assert gone.wait(60)
        clock.now += 10
        assert not crew.stuck_for(10)
        for owner in "ab":
            ticket: Ticket[str] = Ticket()
            crew.put(owner, lambda ticket=ticket: ticket.fill("done"))  # type: ignore[misc]
            assert ticket.wait(60) == "done"
        gate.set()
