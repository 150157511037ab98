"""Last use: known soon after a login, never in its way."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from gatepost_core.settings import StoreSettings
from gatepost_core.store import migrate, usage
from gatepost_core.store.engine import open_engine
from gatepost_core.store.usage import LastUsed, Usage

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> StoreSettings:
    settings = StoreSettings(url=f"sqlite:///{tmp_path}/directory.db")
    migrate.upgrade(settings)
    return settings


@pytest.fixture
def engine(settings: StoreSettings) -> Iterator[Engine]:
    engine = open_engine(settings.journal, reading=True)
    yield engine
    engine.dispose()


def read(engine: Engine) -> dict[int, Usage]:
    with engine.connect() as connection:
        return usage.read(connection)


def test_the_latest_login_of_each_credential_is_kept(settings: StoreSettings, engine: Engine) -> None:
    last_used = LastUsed(settings.journal)
    later = NOW + timedelta(minutes=1)
    for moment, ip in ((NOW, "192.0.2.1"), (later, "2001:db8::1")):
        last_used.record(1, ip, moment)
    last_used.record(2, "192.0.2.9", NOW)
    last_used.close()
    assert read(engine) == {1: Usage(later, "2001:db8::1"), 2: Usage(NOW, "192.0.2.9")}
    with engine.connect() as connection:
        assert usage.of(connection, 2) == Usage(NOW, "192.0.2.9")
        assert usage.of(connection, 3) is None


def test_a_later_process_replaces_what_an_earlier_one_wrote(settings: StoreSettings, engine: Engine) -> None:
    for day in range(3):
        last_used = LastUsed(settings.journal)
        last_used.record(1, f"192.0.2.{day}", NOW + timedelta(days=day))
        last_used.close()
    assert read(engine) == {1: Usage(NOW + timedelta(days=2), "192.0.2.2")}


def test_more_credentials_than_one_statement_takes_are_written(
    settings: StoreSettings, engine: Engine
) -> None:
    last_used = LastUsed(settings.journal)
    for number in range(2500):
        last_used.record(number, "192.0.2.1", NOW)
    last_used.close()
    assert len(read(engine)) == 2500


def test_a_login_is_written_without_a_close_within_seconds(settings: StoreSettings, engine: Engine) -> None:
    last_used = LastUsed(settings.journal)
    last_used.record(1, "192.0.2.1", NOW)
    limit = datetime.now(UTC) + timedelta(seconds=20)
    while not read(engine):
        assert datetime.now(UTC) < limit
    last_used.close()


def test_a_login_while_the_journal_is_away_is_kept_and_written_later(
    settings: StoreSettings, engine: Engine, tmp_path: Path
) -> None:
    file = tmp_path / "journal.db"
    away = file.rename(tmp_path / "away.db")
    last_used = LastUsed(settings.journal)
    last_used.record(1, "192.0.2.1", NOW)
    last_used._flush()
    assert not file.exists()
    last_used.record(2, "192.0.2.2", NOW)
    away.rename(file)
    last_used.close()
    assert set(read(engine)) == {1, 2}
