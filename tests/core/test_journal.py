"""The journal: a record is on disk before the future is done, or the future says that it is not."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection

from gatepost_core.domain import MessageRecord, ids
from gatepost_core.settings import StoreSettings
from gatepost_core.store import NotFound, StoreUnavailable, journal, migrate
from gatepost_core.store.engine import open_engine
from gatepost_core.store.journal import JournalWriter
from tests.core.stores import submit

RECORD = MessageRecord(
    id=ids.new(0),
    created_at=datetime(2026, 5, 1, 12, 30, 15, 123456, tzinfo=UTC),
    credential_id=7,
    username="gpx",
    queue_id="4XyZ123abc",
    sender="jörg@example.test",
    recipients=("a@example.test", "b@example.test"),
    header_from="J <j@example.test>",
    subject="Grüße\r\n\x1b[31m",
    size=100,
    size_after=2**40,
    tags=("a", "ü"),
    features=("inlinecss", "trackclicks"),
    applied=("inlinecss",),
    skipped={"trackclicks": "signed message"},
    seconds={"inlinecss": 0.001},
)


@pytest.fixture
def settings(tmp_path: Path) -> StoreSettings:
    settings = StoreSettings(url=f"sqlite:///{tmp_path}/directory.db")
    migrate.upgrade(settings)
    return settings


@pytest.fixture
def writer(settings: StoreSettings) -> Iterator[JournalWriter]:
    writer = JournalWriter(settings.journal)
    yield writer
    writer.close()


@pytest.fixture
def connection(settings: StoreSettings) -> Iterator[Connection]:
    engine = open_engine(settings.journal, reading=True)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def numbered(number: int) -> MessageRecord:
    return replace(RECORD, id=ids.new(number), queue_id=f"Q{number}", username=f"gp{number % 2}")


def count(file: Path) -> int:
    database = sqlite3.connect(file)
    found = database.execute("SELECT count(*) FROM messages").fetchone()[0]
    database.close()
    return int(found)


def test_a_record_comes_back_as_it_was_written(writer: JournalWriter, connection: Connection) -> None:
    submit(writer, RECORD).result(timeout=10)
    assert journal.get(connection, RECORD.id) == RECORD
    assert journal.get(connection, RECORD.queue_id) == RECORD


def test_a_record_is_readable_elsewhere_once_its_future_is_done(
    writer: JournalWriter, tmp_path: Path
) -> None:
    for number in range(20):
        submit(writer, numbered(number)).result(timeout=10)
        assert count(tmp_path / "journal.db") == number + 1


def test_a_crowd_of_records_is_written_whole(writer: JournalWriter, tmp_path: Path) -> None:
    futures = [submit(writer, numbered(number)) for number in range(1000)]
    for future in futures:
        future.result(timeout=30)
    assert count(tmp_path / "journal.db") == 1000


def test_threads_that_write_for_each_other_leave_no_record_out(writer: JournalWriter, tmp_path: Path) -> None:
    told: list[StoreUnavailable | None] = []

    def put(first: int) -> None:
        for number in range(first, first + 25):
            writer.put(numbered(number), told.append, here=True)

    threads = [threading.Thread(target=put, args=(first,)) for first in range(0, 200, 25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    writer.close()
    assert told == [None] * 200
    assert count(tmp_path / "journal.db") == 200


def test_a_record_that_is_put_here_is_on_disk_before_anything_else_is_done(
    writer: JournalWriter, tmp_path: Path
) -> None:
    found: list[int] = []
    writer.put(RECORD, lambda _: found.append(count(tmp_path / "journal.db")), here=True)
    assert found == [1]


def test_a_commit_waits_for_the_records_that_are_expected(
    writer: JournalWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_GATHER_SECONDS", 60.0)
    told: list[StoreUnavailable | None] = []
    for sender in ("a", "b", "gone"):
        writer.expect(sender)
    writer.expect_no_more("gone")
    first = threading.Thread(target=lambda: writer.put(numbered(1), told.append, here=True))
    first.start()
    first.join(0.05)  # it may wait or be on its way: nothing is written before the other one has come
    assert count(tmp_path / "journal.db") == 0
    writer.put(numbered(2), told.append, here=True)
    first.join(30)
    writer.expect_no_more("a")
    writer.expect_no_more("b")
    writer.close()
    assert told == [None, None]
    assert count(tmp_path / "journal.db") == 2


def test_a_record_that_does_not_come_holds_a_commit_up_for_a_moment_only(
    writer: JournalWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_SLOW_SECONDS", 0.0)
    writer.expect("never comes")
    writer.expect("a")
    submit(writer, numbered(1)).result(30)
    assert count(tmp_path / "journal.db") == 1
    monkeypatch.setattr(journal, "_GATHER_SECONDS", 3600.0)  # whoever was slow is not waited for again
    submit(writer, numbered(2)).result(30)
    assert count(tmp_path / "journal.db") == 2


def test_the_next_record_is_written_after_one_that_could_not_be(
    writer: JournalWriter, tmp_path: Path
) -> None:
    told: list[StoreUnavailable | None] = []
    file = tmp_path / "journal.db"
    away = file.rename(tmp_path / "away.db")
    writer.put(numbered(1), told.append, here=True)
    away.rename(file)
    writer.put(numbered(2), told.append, here=True)
    assert isinstance(told[0], StoreUnavailable)
    assert told[1] is None
    assert count(file) == 1


def test_closing_writes_what_waits(settings: StoreSettings, tmp_path: Path) -> None:
    writer = JournalWriter(settings.journal)
    futures = [submit(writer, numbered(number)) for number in range(300)]
    writer.close()
    assert all(future.done() and future.exception() is None for future in futures)
    assert count(tmp_path / "journal.db") == 300


def test_a_record_that_cannot_be_written_fails_its_own_future(writer: JournalWriter, tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    submit(writer, numbered(1)).result(timeout=10)
    away = file.rename(tmp_path / "away.db")
    with pytest.raises(StoreUnavailable, match=r"journal\.db"):
        submit(writer, numbered(2)).result(timeout=10)
    assert not file.exists()
    away.rename(file)
    submit(writer, numbered(3)).result(timeout=10)
    assert count(file) == 2


def test_records_go_into_a_journal_that_was_restored_from_a_backup(
    writer: JournalWriter, tmp_path: Path
) -> None:
    file, copy = tmp_path / "journal.db", tmp_path / "backup.db"
    source, target = sqlite3.connect(file), sqlite3.connect(copy)
    source.backup(target)
    source.close()
    target.close()
    submit(writer, numbered(1)).result(timeout=10)
    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    copy.replace(file)
    submit(writer, numbered(2)).result(timeout=10)
    assert count(file) == 1


def test_the_newest_messages_come_first(writer: JournalWriter, connection: Connection) -> None:
    for number in range(10):
        submit(writer, numbered(number)).result(timeout=10)
    newest = journal.recent(connection, limit=3)
    assert [record.queue_id for record in newest] == ["Q9", "Q8", "Q7"]
    odd = journal.recent(connection, limit=2, username="gp1")
    assert [record.queue_id for record in odd] == ["Q9", "Q7"]


def test_an_unknown_message_is_not_found(connection: Connection) -> None:
    with pytest.raises(NotFound, match="expected a message id or Postfix's queue id"):
        journal.get(connection, "nope")
