"""Reports on their way into the journal: each once, so many of a message, and what becomes of them."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import pytest

from gatepost_core.domain import ids, spooled
from gatepost_core.domain.outcomes import ForwardState, SentTo
from gatepost_core.spool import Entry
from gatepost_core.store.ingest import retention
from gatepost_core.store.ingest.forwards import of_message
from gatepost_core.store.ingest.retention import Kept
from tests.core.ingest.world import NOON, RECORD, World, accepted, milliseconds, numbered

ADDRESS = "bounce-abc@bounces.example.test"
HOUR = timedelta(hours=1)


def report(number: int, message: str = RECORD.id) -> Entry:
    at = NOON + timedelta(milliseconds=number)
    content = spooled.report(message, ADDRESS, f"r{number}.eml", at)
    return Entry(ids.to_bytes(ids.new(milliseconds(at))), spooled.VERSION, spooled.REPORT, content)


def test_a_report_waits_with_its_message_s_envelope_sender_and_account(world: World) -> None:
    one = report(1)
    world.write(accepted(RECORD), one, one)
    world.take()
    with closing(world.backend.forwarder("node")) as forwarder:
        (found,) = forwarder.due(NOON + HOUR, 10)
        assert (found.message, found.account_id, found.sender) == (RECORD.id, 3, RECORD.sender)
        assert (found.address, found.file, found.attempts) == (ADDRESS, "r1.eml", 0)
        assert found.kept_at == NOON + timedelta(milliseconds=1)
        assert forwarder.due(NOON - HOUR, 10) == []
        assert (found.credential_id, found.username, found.note) == (7, "gpx", "")
        assert forwarder.begin(found, NOON + 2 * HOUR)
        assert forwarder.due(NOON + HOUR, 10) == []
        assert forwarder.due(NOON + 2 * HOUR, 10)[0].attempts == 1
        forwarder.postpone(found._replace(attempts=1), "busy", NOON + 2 * HOUR)
        assert forwarder.due(NOON + HOUR, 10) == []
        (again,) = forwarder.due(NOON + 3 * HOUR, 10)
        assert (again.attempts, again.note) == (1, "busy")
        forwarder.settle(again, ForwardState.SENT, "250 queued", NOON + 3 * HOUR)
        assert forwarder.due(NOON + 4 * HOUR, 10) == []
        assert not forwarder.begin(again, NOON)
    with closing(world.backend.forwarder("another")) as other:
        assert other.due(NOON + HOUR, 10) == []
    with world.backend.journal() as connection:
        assert of_message(connection, RECORD.id) == [("r1.eml", "sent", "250 queued")]


def test_a_report_that_comes_again_after_it_was_sent_is_known_for_some_days(world: World) -> None:
    one = report(1)
    world.write(accepted(RECORD), one)
    world.take()
    with closing(world.backend.forwarder("node")) as forwarder:
        forwarder.settle(forwarder.due(NOON + HOUR, 10)[0], ForwardState.SENT, "", NOON + HOUR)
        world.restart_writers()
        world.write(one)
        world.take()
        assert forwarder.due(NOON + 2 * HOUR, 10) == []
        assert forwarder.forget(NOON) == 0
        assert forwarder.forget(NOON + 2 * HOUR) == 1


def test_of_a_message_no_more_are_sent_than_its_recipients_can_make_whenever_they_came(world: World) -> None:
    early = [report(number) for number in range(20)]
    world.write(*early)
    world.take()
    world.write(accepted(RECORD), report(30))
    world.take()
    assert len(RECORD.recipients) == 2
    sent = 0
    with closing(world.backend.forwarder("node")) as forwarder:
        while not forwarder.enough(one := forwarder.due(NOON + HOUR, 1)[0]):
            forwarder.settle(one, ForwardState.SENT, "", NOON + HOUR)
            sent += 1
    assert sent == 6
    # The others are there, so that it can be said of each what became of it.
    assert world.count("forwards") == 21


def test_accounts_take_turns_and_so_do_an_account_s_messages(world: World) -> None:
    flooded, real, other = numbered(5), numbered(6), numbered(7, account_id=4)
    world.write(*map(accepted, (flooded, real, other)))
    world.write(*[report(number, flooded.id) for number in range(10, 60)])
    world.write(report(70, real.id), report(71, other.id))
    world.take()
    with closing(world.backend.forwarder("node")) as forwarder:
        first = forwarder.due(NOON + HOUR, 3)
        assert [one.message for one in first] == [flooded.id, other.id, real.id]
        assert first[0].file == "r10.eml"
        for one in first:
            forwarder.settle(one, ForwardState.SENT, "", NOON + HOUR)
        assert [one.file for one in forwarder.due(NOON + HOUR, 3)] == ["r11.eml"]


def test_a_message_with_many_reports_has_one_turn_at_a_time(world: World) -> None:
    flooded, real = numbered(5), numbered(6)
    world.write(*map(accepted, (flooded, real)))
    world.write(*[report(number, flooded.id) for number in range(10, 30)], report(70, real.id))
    world.take()
    with closing(world.backend.forwarder("node")) as forwarder:
        found = [forwarder.due(NOON + HOUR, 1)[0].message for _ in range(4)]
    assert found == [flooded.id, real.id] * 2


def test_one_that_waits_is_behind_no_later_one(world: World) -> None:
    records = [numbered(number) for number in range(5, 35)]
    world.write(*map(accepted, records))
    world.write(*[report(100 + number, record.id) for number, record in enumerate(records[:20])])
    world.take()
    seen: list[str] = []
    with closing(world.backend.forwarder("node")) as forwarder:
        for turn in range(10):
            world.write(report(500 + turn, records[20 + turn].id))
            world.take()
            (one,) = forwarder.due(NOON + HOUR, 1)
            seen.append(one.file)
            forwarder.settle(one, ForwardState.SENT, "", NOON + HOUR)
    assert seen == [f"r{100 + number}.eml" for number in range(10)]


def test_an_account_that_was_sent_enough_is_left_out_and_nothing_of_it_is_changed(world: World) -> None:
    other = numbered(5, account_id=4)
    world.write(accepted(RECORD), accepted(other), report(1), report(2), report(3, other.id))
    world.take()
    before = world.rows("SELECT * FROM forwards")
    with closing(world.backend.forwarder("node")) as forwarder:
        assert [one.account_id for one in forwarder.due(NOON + HOUR, 10, {3})] == [4]
        assert [one.account_id for one in forwarder.due(NOON + HOUR, 10, {3, 4})] == []
        # Nor does it take a place from others.
        assert [one.account_id for _ in range(3) for one in forwarder.due(NOON + HOUR, 1, {3})] == [4] * 3
        assert {one.account_id for one in forwarder.due(NOON + HOUR, 10)} == {3, 4}
    assert world.rows("SELECT * FROM forwards") == before


def test_it_is_known_since_when_so_many_were_sent(world: World) -> None:
    same, elsewhere = numbered(5, account_id=4), numbered(6, sender="x@example.test")
    world.write(accepted(RECORD), accepted(same), accepted(elsewhere))
    world.write(report(1), report(2, same.id), report(3, elsewhere.id))
    world.take()
    minute = timedelta(minutes=1)
    with closing(world.backend.forwarder("node")) as forwarder:
        found = {one.message: one for one in forwarder.due(NOON + HOUR, 10)}
        one = found[RECORD.id]
        for number, record in enumerate((RECORD, same, elsewhere)):
            forwarder.settle(found[record.id], ForwardState.SENT, "", NOON + HOUR + number * minute)
        now = NOON + HOUR + 10 * minute
        # Two of its account, two to its address whosever they are, one of its message.
        for of, last in ((SentTo.ACCOUNT, 2), (SentTo.ADDRESS, 1), (SentTo.MESSAGE, 0)):
            assert forwarder.full_since(one, of, 1, now) == NOON + HOUR + last * minute
        assert forwarder.full_since(one, SentTo.ACCOUNT, 2, now) == NOON + HOUR
        assert forwarder.full_since(one, SentTo.ADDRESS, 2, now) == NOON + HOUR
        assert forwarder.full_since(one, SentTo.MESSAGE, 2, now) is None
        assert forwarder.full_since(one, SentTo.ACCOUNT, 2, NOON + 2 * HOUR) is None
        # A clock that is set back: what was sent in its future does not count.
        assert forwarder.full_since(one, SentTo.ACCOUNT, 1, NOON) is None


def test_a_look_costs_the_same_however_many_reports_wait(world: World) -> None:
    records = [numbered(number) for number in range(5, 25)]
    world.write(*map(accepted, records))

    def cost(more: int, begin: int) -> int:
        world.write(*[report(begin + number, records[number % 20].id) for number in range(more)])
        world.take()
        with closing(world.backend.forwarder("node")) as forwarder:
            forwarder.due(NOON + HOUR, 10)
            steps = [0]

            def count() -> int:
                steps[0] += 1
                return 0

            connection = vars(forwarder)["_connection"]
            connection.set_progress_handler(count, 10)
            for of in SentTo:
                forwarder.full_since(forwarder.due(NOON + HOUR, 10)[0], of, 10, NOON + HOUR)
            forwarder.forget(NOON)
            return steps[0]

    few = cost(100, 100)
    assert cost(3_000, 1_000) < 2 * few


def test_a_report_before_its_message_has_no_sender_yet_and_goes_with_its_message_in_the_end(
    world: World,
) -> None:
    world.write(report(1))
    world.take()
    with closing(world.backend.forwarder("node")) as forwarder:
        (found,) = forwarder.due(NOON + HOUR, 10)
        assert (found.sender, found.account_id) == (None, 0)
        world.write(accepted(RECORD))
        world.take()
        (found,) = forwarder.due(NOON + HOUR, 10)
        assert (found.sender, found.account_id) == (RECORD.sender, 3)
        # It waits among its account's from then on.
        assert forwarder.due(NOON + HOUR, 10, {3}) == []
        assert world.rows("SELECT DISTINCT account_id FROM forwards") == [(3,)]
    with world.backend.transactions() as begin:
        list(retention.prune(begin, Kept(1, {}), NOON + timedelta(days=3)))
    assert world.count("forwards") == 0


@pytest.mark.parametrize("stream", ["milter", "tracker", "sasl", "policy"])
def test_only_bounces_may_tell_of_reports(world: World, stream: str) -> None:
    world.write(accepted(RECORD))
    world.write(report(1), stream=stream)
    world.take()
    assert world.count("forwards") == 0
