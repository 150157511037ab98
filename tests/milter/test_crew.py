"""Handing messages over to threads, and draining: every ticket is answered, in any order of things."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from gatepost_core.domain import MessageRecord, Reject
from gatepost_core.store import StoreUnavailable
from gatepost_milter.editing.message import Plan
from gatepost_milter.judge import Accepted, Verdict
from gatepost_milter.libmilter.crew import Crew, Ticket
from gatepost_milter.libmilter.holdings import Holdings
from gatepost_milter.libmilter.service import Service
from gatepost_milter.transaction import Transaction
from tests.core.test_journal import RECORD

REFUSED = Reject(550, "5.7.1", "no")


class Journal:
    """Commits when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[StoreUnavailable | None], None]] = []
        self.arrived = threading.Event()

    def expect(self, sender: object) -> None: ...

    def expect_no_more(self, sender: object) -> None: ...

    def put(
        self, record: MessageRecord, done: Callable[[StoreUnavailable | None], None], *, here: bool
    ) -> None:
        assert record is RECORD
        assert here
        self.waiting.append(done)
        self.arrived.set()


def service(decide: Callable[[Transaction, str], Verdict], crew: Crew, journal: Journal) -> Service:
    class Decide:
        def __call__(self, transaction: Transaction, queue_id: str) -> Verdict:
            return decide(transaction, queue_id)

    class Report:
        def __call__(self, transaction: Transaction, queue_id: str, verdict: Verdict, seconds: float) -> None:
            """Tell nobody."""

    return Service(Decide(), journal, crew, Report(), Holdings(1_000_000))


def answer_of(serving: Service) -> tuple[threading.Thread, list[Verdict | BaseException]]:
    answers: list[Verdict | BaseException] = []

    def ask() -> None:
        try:
            answers.append(serving.verdict(Transaction("u", b"<>"), "Q"))
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            answers.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, answers


def test_an_accepted_message_is_answered_only_when_its_record_is_committed() -> None:
    journal = Journal()
    with Crew(2) as crew:
        thread, answers = answer_of(service(lambda *_: Accepted(Plan(), RECORD, ()), crew, journal))
        assert journal.arrived.wait(10)
        assert answers == []
        journal.waiting[0](None)
        thread.join(10)
    assert answers == [Accepted(Plan(), RECORD, ())]


def test_a_record_that_cannot_be_written_is_no_acceptance() -> None:
    journal = Journal()
    with Crew(1) as crew:
        thread, answers = answer_of(service(lambda *_: Accepted(Plan(), RECORD, ()), crew, journal))
        assert journal.arrived.wait(10)
        journal.waiting[0](StoreUnavailable("disk full"))
        thread.join(10)
    assert [type(answer) for answer in answers] == [StoreUnavailable]


def test_a_refusal_writes_no_record() -> None:
    journal = Journal()
    with Crew(1) as crew:
        thread, answers = answer_of(service(lambda *_: REFUSED, crew, journal))
        thread.join(10)
    assert answers == [REFUSED]
    assert journal.waiting == []


def test_what_goes_wrong_in_the_crew_is_raised_where_the_answer_is_awaited() -> None:
    def broken(*_: object) -> Verdict:
        raise RuntimeError("boom")

    with Crew(1) as crew:
        first, answers = answer_of(service(broken, crew, Journal()))
        first.join(10)
        second, later = answer_of(service(lambda *_: REFUSED, crew, Journal()))
        second.join(10)
    assert [repr(answer) for answer in answers] == ["RuntimeError('boom')"]
    assert later == [REFUSED]  # its thread goes on


def test_a_ticket_that_nobody_fills_times_out() -> None:
    with pytest.raises(TimeoutError, match=r"0\.01 s"):
        Ticket[int]().wait(0.01)


def test_draining_waits_for_messages_at_their_end_and_begins_no_other() -> None:
    with Crew(1) as crew:
        serving = service(lambda *_: REFUSED, crew, Journal())
        assert serving.begin()
        assert not serving.drain(0.01)
        assert not serving.begin()
        drained: list[bool] = []
        waiter = threading.Thread(target=lambda: drained.append(serving.drain(10)))
        waiter.start()
        serving.end()
        waiter.join(10)
    assert drained == [True]


def test_a_crew_is_stuck_when_each_thread_is_and_not_while_one_still_works() -> None:
    gates, begun = [threading.Event(), threading.Event()], [threading.Event(), threading.Event()]

    def job(number: int) -> None:
        begun[number].set()
        gates[number].wait()

    with Crew(2) as crew:
        assert not crew.stuck_for(0.0)
        crew.put(lambda: job(0))
        begun[0].wait()
        assert not crew.stuck_for(0.0)
        crew.put(lambda: job(1))
        begun[1].wait()
        assert crew.stuck_for(0.0)
        assert not crew.stuck_for(3600.0)
        gates[0].set()
        while crew.stuck_for(0.0):  # the test's time limit ends it
            pass
        gates[1].set()
