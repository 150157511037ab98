"""A click of mail that is tracked without names: counted for its credential and tags, of no message."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gatepost_core.domain import ids, spooled
from gatepost_core.spool import Entry
from gatepost_core.store.ingest import retention
from gatepost_core.store.ingest.retention import Kept
from tests.core.ingest.world import NOON, RECORD, World, accepted, milliseconds


def click(days: float = 0.0, url: str = "https://x.test/") -> Entry:
    at = NOON - timedelta(days=days)
    detail = {"url": url, spooled.TRACKING: spooled.ANONYMOUS}
    content = spooled.event("clicked", RECORD.id, "anna@one.example.net", at, detail)
    return Entry(ids.to_bytes(ids.new(milliseconds(at))), spooled.VERSION, spooled.EVENT, content)


@pytest.mark.parametrize("first", [True, False], ids=["message first", "click first"])
def test_it_names_neither_message_nor_recipient_and_counts(world: World, first: bool) -> None:
    one, other = (accepted(RECORD), click()) if first else (click(), accepted(RECORD))
    world.write(one)
    world.take()
    world.write(other)
    world.take()
    query = "SELECT message_id, recipient, credential_id, account_id FROM events WHERE type = 'clicked'"
    assert world.rows(query) == [("", "", RECORD.credential_id, RECORD.account_id)]
    assert world.count("pending_events") == 0
    assert world.counted("credential", "clicked") == {"": (1, 1)}
    assert set(world.counted("tag", "clicked")) == set(RECORD.tags)


def test_nobody_s_text_makes_an_event_anonymous_or_not() -> None:
    quoted = click(url='https://x.test/"tracking":"identified"')
    assert spooled.without_reader(spooled.read_event(quoted.content)).message == ""
    named = spooled.event(
        "clicked", RECORD.id, "", NOON, {"url": '"tracking":"anonymous"', "more": {"tracking": "anonymous"}}
    )
    assert spooled.without_reader(spooled.read_event(named)).message == RECORD.id


def test_it_is_kept_as_long_as_its_account_keeps_messages(world: World) -> None:
    world.write(accepted(RECORD), click(50), click(5))
    world.take()
    own = {RECORD.account_id: 100}
    with world.backend.transactions() as begin:
        for keep, left in (
            (Kept(30, own), 2),
            (Kept(0, {}), 2),
            (Kept(30, {}), 1),
            (Kept(0, {RECORD.account_id: 1}), 0),
        ):
            list(retention.prune(begin, keep, NOON))
            ((found,),) = world.rows("SELECT count(*) FROM events WHERE type = 'clicked'")
            assert found == left, keep
