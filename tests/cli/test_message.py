"""``gatepost message``: the records of accepted messages, safe to look at."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from gatepost_core.domain import MessageRecord, Mode, ids
from gatepost_core.store import messages
from gatepost_core.store.sqlite.engine import open_engine
from tests.core.journals import keep

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
        metadata={"order": "1234", "lines": [1, 2.5], "to": "Zo\u00eb\u202e\x9b"},
    )


@pytest.fixture
def records(gatepost: Gatepost) -> list[MessageRecord]:
    made = [record(number) for number in range(30)]
    keep(f"sqlite:///{gatepost.folder}/store/journal.db", made)
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


def test_metadata_is_shown_as_it_was_sent_and_cannot_move_the_cursor(
    gatepost: Gatepost, records: list[MessageRecord]
) -> None:
    one = records[3]
    assert gatepost("message", "show", one.id, "--json").data["metadata"] == one.metadata
    assert gatepost("message", "list", "--json").data[0]["metadata"] == one.metadata
    text = gatepost("message", "show", one.id).out
    assert '\nmetadata\t{"order": "1234", "lines": [1, 2.5], "to": "Zo\\u00eb\\u202e\\u009b"}\n' in text


def test_an_unknown_message_is_not_found(gatepost: Gatepost) -> None:
    result = gatepost("message", "show", "nope", "--json")
    assert result.code == 3
    assert "no message 'nope'" in result.error


def test_a_subject_cannot_move_the_terminals_cursor_nor_add_a_row(gatepost: Gatepost) -> None:
    bad = record(1, subject="\x1b[2J\r\nid\tforged\u202e\x9b")
    keep(f"sqlite:///{gatepost.folder}/store/journal.db", [bad])
    shown = gatepost("message", "show", bad.id).out
    assert "Subject\t\\x1b[2J\\r\\nid\\tforged\\u202e\\x9b\n" in shown
    assert gatepost("message", "show", bad.id, "--json").data["subject"] == bad.subject


MANY = 30_000


def changed(number: int) -> dict[str, str]:
    return {"id": ids.new(number), "username": "rare" if number < 10 else "gp", "queue_id": f"4X{number}"}


@pytest.fixture
def many(gatepost: Gatepost) -> Gatepost:
    """A journal of many messages, the first ten of them of another credential."""
    names = [field.name for field in fields(MessageRecord)]
    with closing(sqlite3.connect(gatepost.folder / "store" / "journal.db")) as connection, connection:
        one = asdict(record(0)) | {"created_at": "2026-05-01 12:00:00.000000", "mode": "live"}
        values = [json.dumps(value) if isinstance(value, tuple | dict) else value for value in one.values()]
        columns = list(zip(names, values, strict=True))
        connection.executemany(
            f"INSERT INTO messages ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",  # noqa: S608
            ([changed(number).get(name, value) for name, value in columns] for number in range(MANY)),
        )
    return gatepost


def peak(gatepost: Gatepost, *words: str) -> tuple[int, bytes]:
    """Return the most memory that the command took, in bytes, and what it printed."""
    command = [
        sys.executable,
        "-m",
        "gatepost_cli",
        "--config",
        str(gatepost.config),
        "message",
        "list",
        *words,
    ]
    with (gatepost.folder / "printed").open("wb") as printed:
        process = subprocess.Popen(command, stdout=printed)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_maxrss * 1024, (gatepost.folder / "printed").read_bytes()


@pytest.mark.parametrize("words", [("--json",), ()], ids=["json", "lines"])
def test_a_list_of_many_takes_no_more_memory_than_one_of_few(many: Gatepost, words: tuple[str, ...]) -> None:
    few, _ = peak(many, "--limit", "1000", *words)
    all_of_them, printed = peak(many, "--limit", str(MANY), *words)
    assert all_of_them - few < 10_000_000
    if words:
        listed = json.loads(printed)
        assert [one["queue_id"] for one in listed] == [f"4X{number}" for number in reversed(range(MANY))]
    else:
        assert printed.count(b"\n") == MANY + 1


def test_the_list_of_one_credential_looks_at_its_messages_alone(many: Gatepost) -> None:
    """SQLite's steps are counted, not seconds."""
    engine = open_engine(f"sqlite:///{many.folder}/store/journal.db", reading=True)
    steps = [0]

    def count() -> int:
        steps[0] += 100
        return 0

    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.set_progress_handler(count, 100)
        assert len(messages.recent(connection, limit=20, username="rare")) == 10
        assert len(messages.recent(connection, limit=20)) == 20
        assert messages.get(connection, "4X77").queue_id == "4X77"
    engine.dispose()
    assert steps[0] < 5_000


def test_an_array_is_one_document_however_many_are_in_it(gatepost: Gatepost) -> None:
    assert gatepost("message", "list", "--json").out == "[]\n"
    keep(f"sqlite:///{gatepost.folder}/store/journal.db", map(record, range(3)))
    for limit in ("1", "3"):
        text = gatepost("message", "list", "--json", "--limit", limit).out
        assert text == json.dumps(json.loads(text), indent=2) + "\n"


def test_doctor_s_probes_are_shown_to_those_who_ask(gatepost: Gatepost) -> None:
    probe = replace(record(3), username="gpprobe", tags=(messages.PROBE_TAG,), mode=Mode.SANDBOX)
    alike = [replace(record(1), mode=Mode.SANDBOX), replace(record(2), tags=(messages.PROBE_TAG,))]
    keep(f"sqlite:///{gatepost.folder}/store/journal.db", [*alike, probe])

    def listed(*words: str) -> list[str]:
        return [one["queue_id"] for one in gatepost("message", "list", "--json", *words).data]

    assert listed() == ["4Xyz2", "4Xyz1"]
    assert listed("--probes") == ["4Xyz3", "4Xyz2", "4Xyz1"]
    assert listed("--credential", "gpprobe") == ["4Xyz3"]
    assert listed("--limit", "1") == ["4Xyz2"]


@pytest.mark.parametrize("limit", ["0", "-1", "many"])
def test_a_limit_is_a_number_above_zero(gatepost: Gatepost, limit: str) -> None:
    assert gatepost("message", "list", "--limit", limit).code == 2


def test_doctor_notes_what_is_held_and_warns_of_what_would_let_it_out(
    gatepost: Gatepost, records: list[MessageRecord]
) -> None:
    words = ("doctor", "--only", "held", "--json")
    assert [one["status"] for one in gatepost(*words).data["findings"]] == ["good"]
    with closing(sqlite3.connect(gatepost.folder / "store" / "journal.db")) as journal, journal:
        for number, ended in ((3, None), (4, None), (5, "2026-05-01 13:00:00.000000")):
            at = f"2026-05-01 12:0{number}:00.000000"
            row = (records[number].id, 1, at, "the credential is in mode hold", ended)
            journal.execute("INSERT INTO holdings VALUES (?, ?, ?, ?, ?)", row)
    (found,) = gatepost(*words).data["findings"]
    assert (found["status"], found["found"]) == ("note", "2, the first since 2026-05-01T12:03:00Z")
    assert "never 'postsuper -r'" in found["advice"]
