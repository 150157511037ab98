"""Refusals on their way into the journal: once each, found by their references, each account its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from gatepost_core.domain import NotFound, ids, spooled
from gatepost_core.spool import Entry
from gatepost_core.store import events
from gatepost_core.store.events import Wanted
from gatepost_core.store.ingest import retention
from gatepost_core.store.ingest.retention import Kept
from gatepost_core.store.sqlite.engine import open_engine
from tests.core.ingest.world import NOON, RECORD, World, accepted, milliseconds

REFERENCE = "K7Q2M9XD"


def refused(
    reference: str = REFERENCE, account: int = 3, at: datetime = NOON, credential: str = "gpx"
) -> Entry:
    detail: dict[str, str | int] = {"reference": reference, "credential": credential, "reply": "550 5.7.1 no"}
    content = spooled.refused(reference, (account, 7), "bob@example.org", at, detail)
    return Entry(ids.to_bytes(ids.new(milliseconds(at))), spooled.VERSION, spooled.REFUSED, content)


def test_a_refusal_is_an_event_of_its_account_and_credential_without_a_message(world: World) -> None:
    world.write(refused(), stream="policy")
    assert sum(one.events for one in world.take()) == 1
    with world.backend.journal() as connection:
        (event,) = events.of_reference(connection, REFERENCE)
        assert (event.type, event.message, event.account_id, event.credential_id) == ("refused", "", 3, 7)
        assert (event.credential, event.recipient, event.time) == ("gpx", "bob@example.org", NOON)
        assert [one.id for one in events.page(connection, Wanted(types=("refused",)), 10).items] == [event.id]
        assert events.page(connection, Wanted(credential="gpx"), 10).items == [event]
        assert events.page(connection, Wanted(credential="gpy"), 10).items == []
        for account in (None, 3):
            assert events.of_reference(connection, REFERENCE, account) == [event]
        with pytest.raises(NotFound):
            events.of_reference(connection, REFERENCE, 4)
        with pytest.raises(NotFound):
            events.of_reference(connection, "")


def test_what_was_answered_twice_is_told_once_whichever_daemon_or_start_wrote_it(world: World) -> None:
    world.write(refused(), refused(at=NOON + timedelta(seconds=1)), stream="policy")
    world.take()
    world.restart_writers()
    world.write(refused(at=NOON + timedelta(seconds=9)), stream="policy")
    world.write(refused(at=NOON + timedelta(seconds=9)), stream="milter")
    world.take()
    assert world.count("events") == 1
    world.write(refused(account=4), stream="policy")  # another account's, by chance
    world.take()
    assert world.count("events") == 2


def test_a_refusal_beside_messages_changes_nothing_of_them(world: World) -> None:
    world.write(accepted(replace(RECORD, account_id=3)), refused(), stream="milter")
    (taken, *_) = world.take()
    assert (taken.messages, taken.events, taken.refused, taken.stopped) == (1, 1, {}, {})
    assert world.rows("SELECT status FROM messages") == [("accepted",)]


@pytest.mark.parametrize("stream", ["sasl", "tracker", "bounces"])
def test_a_daemon_that_refuses_nobody_can_claim_no_refusal(world: World, stream: str) -> None:
    world.write(refused(), stream=stream)
    taken = world.take()
    assert taken[0].refused == {(stream, "a refusal"): 1}
    assert world.count("events") == 0


def test_policy_can_claim_neither_messages_nor_logins(world: World) -> None:
    world.write(accepted(RECORD), stream="policy")
    world.take()
    assert world.count("messages") == 0


def test_old_ones_go_with_their_account_s_days(world: World) -> None:
    world.write(refused(), refused("AAAAAAAA", account=4), stream="policy")
    world.take()
    engine = open_engine(world.settings.journal)
    keep = Kept(0, {3: 1})
    list(retention.prune(engine.begin, keep, NOON + timedelta(days=2)))
    assert world.rows("SELECT account_id FROM events") == [(4,)]
    engine.dispose()
