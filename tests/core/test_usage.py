"""Last use: of each credential or of one, as the journal has it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from gatepost_core.settings import StoreSettings
from gatepost_core.store import migrate
from gatepost_core.store.ingest import usage
from gatepost_core.store.ingest.usage import Usage
from gatepost_core.store.sqlite.engine import open_engine
from tests.core.journals import use

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


def test_the_last_use_of_all_and_of_one_credential_is_read(settings: StoreSettings, engine: Engine) -> None:
    later = NOW + timedelta(minutes=1)
    use(settings.journal, [1], "2001:db8::1", later)
    use(settings.journal, [2], "192.0.2.9", NOW)
    assert read(engine) == {1: Usage(later, "2001:db8::1"), 2: Usage(NOW, "192.0.2.9")}
    with engine.connect() as connection:
        assert usage.of(connection, 2) == Usage(NOW, "192.0.2.9")
        assert usage.of(connection, 3) is None
