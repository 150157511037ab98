"""Reports on their way into the journal: each once, so many of a message, and what becomes of them."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import pytest

from gatepost_core.domain import ids, spooled
from gatepost_core.domain.outcomes import ForwardState
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
        forwarder.postpone(found, "busy", NOON + 2 * HOUR)
        assert forwarder.due(NOON + HOUR, 10) == []
        (again,) = forwarder.due(NOON + 3 * HOUR, 10)
        assert again.attempts == 1
        forwarder.settle(again, ForwardState.SENT, "250 queued", NOON + 3 * HOUR)
        assert forwarder.due(NOON + 4 * HOUR, 10) == []
        assert (forwarder.sent(3, NOON), forwarder.sent(4, NOON), forwarder.sent(3, NOON + 4 * HOUR)) == (
            1,
            0,
            0,
        )
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


def test_of_a_message_no_more_are_forwarded_than_its_recipients_can_make(world: World) -> None:
    other = numbered(5)
    world.write(
        accepted(RECORD), accepted(other), *[report(number) for number in range(40)], report(50, other.id)
    )
    world.take()
    assert len(RECORD.recipients) == 2
    with closing(world.backend.forwarder("node")) as forwarder:
        found = [one.message for one in forwarder.due(NOON + HOUR, 100)]
    assert (found.count(RECORD.id), found.count(other.id)) == (6, 1)


def test_an_account_that_was_sent_enough_has_all_of_its_reports_wait(world: World) -> None:
    other = numbered(5, account_id=4)
    world.write(accepted(RECORD), accepted(other), report(1), report(2), report(3, other.id))
    world.take()
    with closing(world.backend.forwarder("node")) as forwarder:
        first = next(one for one in forwarder.due(NOON + HOUR, 10) if one.account_id == 3)
        forwarder.postpone_account(first, "enough", NOON + 2 * HOUR)
        assert [one.account_id for one in forwarder.due(NOON + HOUR, 10)] == [4]
        assert len(forwarder.due(NOON + 3 * HOUR, 10)) == 3


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
    with world.backend.transactions() as begin:
        list(retention.prune(begin, Kept(1, {}), NOON + timedelta(days=3)))
    assert world.count("forwards") == 0


@pytest.mark.parametrize("stream", ["milter", "tracker", "sasl", "policy"])
def test_only_bounces_may_tell_of_reports(world: World, stream: str) -> None:
    world.write(accepted(RECORD))
    world.write(report(1), stream=stream)
    world.take()
    assert world.count("forwards") == 0
