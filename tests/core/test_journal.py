"""The journal: a record is on disk before the future is done, or the future says that it is not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection

from gatepost_core.domain import MessageRecord, ids
from gatepost_core.settings import StoreSettings
from gatepost_core.store import NotFound, messages, migrate
from gatepost_core.store.sqlite.engine import open_engine
from tests.core.journals import keep

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


def test_a_record_comes_back_as_it_was_written(settings: StoreSettings, connection: Connection) -> None:
    keep(settings.journal, [RECORD])
    assert messages.get(connection, RECORD.id) == RECORD
    assert messages.get(connection, RECORD.queue_id) == RECORD


def test_the_newest_messages_come_first(settings: StoreSettings, connection: Connection) -> None:
    keep(settings.journal, map(numbered, range(10)))
    newest = messages.recent(connection, limit=3)
    assert [record.queue_id for record in newest] == ["Q9", "Q8", "Q7"]
    odd = messages.recent(connection, limit=2, username="gp1")
    assert [record.queue_id for record in odd] == ["Q9", "Q7"]


def test_an_unknown_message_is_not_found(connection: Connection) -> None:
    with pytest.raises(NotFound, match="expected a message id, Postfix's queue id or a Message-ID"):
        messages.get(connection, "nope")
