"""``gatepost message``: the records of accepted messages, safe to look at."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gatepost_core import ids
from gatepost_core.model import MessageRecord
from gatepost_core.store.journal import JournalWriter

from .command import Gatepost


def record(number: int, subject: str = "Hello") -> MessageRecord:
    return MessageRecord(
        id=ids.new(number),
        created_at=datetime(2026, 5, 1, 12, tzinfo=UTC),
        credential_id=1,
        username=f"gp{number % 2}",
        queue_id=f"4Xyz{number}",
        sender="a@example.test",
        recipients=("b@example.test", "c@example.test"),
        header_from="a@example.test",
        subject=subject,
        size=100,
        size_after=200,
        tags=("t",),
        features=("inlinecss", "trackclicks"),
        applied=("inlinecss",),
        skipped={"trackclicks": "the message is signed"},
        seconds={"inlinecss": 0.0012},
    )


@pytest.fixture
def records(gatepost: Gatepost) -> list[MessageRecord]:
    made = [record(number) for number in range(30)]
    writer = JournalWriter(f"sqlite:///{gatepost.folder}/store/journal.db")
    for one in made:
        writer.submit(one).result(timeout=10)
    writer.close()
    return made


def test_list_shows_the_newest_first(gatepost: Gatepost, records: list[MessageRecord]) -> None:
    shown = gatepost("message", "list", "--json").data
    assert [message["id"] for message in shown] == [one.id for one in reversed(records)][:20]
    few = gatepost("message", "list", "--limit", "2").out.splitlines()
    assert [line.split("\t")[2] for line in few] == ["queue id", "4Xyz29", "4Xyz28"]


def test_list_can_be_held_to_one_credential(gatepost: Gatepost, records: list[MessageRecord]) -> None:
    shown = gatepost("message", "list", "--credential", "gp1", "--limit", "100", "--json").data
    assert {message["username"] for message in shown} == {"gp1"}
    assert len(shown) == sum(one.username == "gp1" for one in records)


def test_show_takes_an_id_or_a_queue_id(gatepost: Gatepost, records: list[MessageRecord]) -> None:
    one = records[3]
    by_id = gatepost("message", "show", one.id, "--json").data
    assert by_id == gatepost("message", "show", one.queue_id, "--json").data
    assert by_id["recipients"] == ["b@example.test", "c@example.test"]
    assert by_id["skipped"] == {"trackclicks": "the message is signed"}
    assert by_id["created_at"] == "2026-05-01T12:00:00Z"
    text = gatepost("message", "show", one.id).out
    assert "not applied: trackclicks\tthe message is signed" in text
    assert "time for inlinecss\t1.20 ms" in text


def test_an_unknown_message_is_not_found(gatepost: Gatepost) -> None:
    result = gatepost("message", "show", "nope", "--json")
    assert result.code == 3
    assert "no message 'nope'" in result.error


def test_a_subject_cannot_move_the_terminals_cursor_nor_add_a_row(gatepost: Gatepost) -> None:
    writer = JournalWriter(f"sqlite:///{gatepost.folder}/store/journal.db")
    bad = record(1, subject="\x1b[2J\r\nid\tforged\u202e\x9b")
    writer.submit(bad).result(timeout=10)
    writer.close()
    shown = gatepost("message", "show", bad.id).out
    assert "Subject\t\\x1b[2J\\r\\nid\\tforged\\u202e\\x9b\n" in shown
    assert gatepost("message", "show", bad.id, "--json").data["subject"] == bad.subject


@pytest.mark.parametrize("limit", ["0", "-1", "many"])
def test_a_limit_is_a_number_above_zero(gatepost: Gatepost, limit: str) -> None:
    assert gatepost("message", "list", "--limit", limit).code == 2
