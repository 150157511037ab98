"""The databases: what migrations make is what the code expects, times keep their zone."""

from __future__ import annotations

import importlib
import pkgutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.exc import StatementError

import gatepost_core.store
from gatepost_core.settings import StoreSettings
from gatepost_core.store import StoreError, StoreUnavailable, accounts, database_file, migrate
from gatepost_core.store.schema import directory, journal
from gatepost_core.store.sqlite.engine import faults, open_engine

METADATA = {"directory": directory, "journal": journal}
# Tables stand in several modules: all of them are to be known here, whatever else was imported.
for module in pkgutil.walk_packages(gatepost_core.store.__path__, "gatepost_core.store."):
    if ".migrations." not in module.name:
        importlib.import_module(module.name)


@pytest.fixture
def settings(tmp_path: Path) -> StoreSettings:
    return StoreSettings(url=f"sqlite:///{tmp_path}/store/directory.db")


@pytest.mark.parametrize("line", migrate.DATABASES)
def test_migrations_make_the_schema_that_the_code_expects(
    settings: StoreSettings, line: migrate.Database
) -> None:
    migrate.upgrade(settings)
    engine = open_engine(migrate.url_of(settings, line))
    with engine.begin() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, METADATA[line]) == []
        index = sorted(
            index.name for table in METADATA[line].tables.values() for index in table.indexes if index.name
        )[0]
        connection.execute(text(f"DROP INDEX {index}"))
        assert compare_metadata(context, METADATA[line]) != []  # so a difference would be noticed
    engine.dispose()


@pytest.mark.parametrize("line", migrate.DATABASES)
def test_migrations_can_be_undone_and_done_again(settings: StoreSettings, line: migrate.Database) -> None:
    migrate.upgrade(settings)
    config = migrate._config(line)
    engine = open_engine(migrate.url_of(settings, line))
    for step in (command.downgrade, command.upgrade):
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            step(config, "base" if step is command.downgrade else "head")
        with engine.connect() as connection:
            tables = set(inspect(connection).get_table_names()) - {"alembic_version"}
        assert tables == (set() if step is command.downgrade else set(METADATA[line].tables))
    engine.dispose()


def test_upgrading_twice_changes_nothing_and_says_so(settings: StoreSettings) -> None:
    assert all(migrate.behind(settings, line) for line in migrate.DATABASES)
    first = migrate.upgrade(settings)
    assert all(before is None and after for before, after in first.values())
    assert not any(migrate.behind(settings, line) for line in migrate.DATABASES)
    second = migrate.upgrade(settings)
    assert all(before == after for before, after in second.values())


@pytest.mark.parametrize("line", migrate.DATABASES)
@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ("0001", "run 'gatepost store upgrade' of commit"),
        ("9999", "of a newer release.* install that release"),
    ],
)
def test_a_database_of_a_schema_that_nobody_knows_is_left_alone_with_what_to_do(
    settings: StoreSettings, line: migrate.Database, schema: str, told: str
) -> None:
    migrate.upgrade(settings)
    file = database_file(migrate.url_of(settings, line))
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (schema,))
    before = file.read_bytes()
    with pytest.raises(StoreUnavailable, match=rf"{line}\.db: has schema {schema} .*{told}"):
        migrate.upgrade(settings)
    assert file.read_bytes() == before


@pytest.mark.parametrize("line", migrate.DATABASES)
def test_schemas_are_numbered(line: migrate.Database) -> None:
    """By its number a schema is told as older or newer."""
    names = [script.revision for script in migrate._scripts(line).walk_revisions()]
    assert all(len(name) == 4 and name.isdecimal() for name in names)
    assert names == sorted(names, reverse=True)


def test_asking_what_is_pending_makes_no_file(settings: StoreSettings, tmp_path: Path) -> None:
    migrate.behind(settings, "directory")
    assert list(tmp_path.iterdir()) == []


def test_database_files_are_not_for_everybody(settings: StoreSettings, tmp_path: Path) -> None:
    migrate.upgrade(settings)
    for name in ("directory.db", "journal.db"):
        assert (tmp_path / "store" / name).stat().st_mode & 0o777 == 0o640


def test_a_file_that_is_no_database_is_named(settings: StoreSettings, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "directory.db").write_bytes(b"no database at all " * 300)
    with pytest.raises(StoreUnavailable, match=r"directory\.db: file is not a database"):
        migrate.upgrade(settings)


def test_a_store_that_was_never_made_hints_at_the_command(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/directory.db"
    engine = open_engine(url)
    with (
        pytest.raises(StoreUnavailable, match="run 'gatepost store upgrade'"),
        faults(url),
        engine.begin() as connection,
    ):
        accounts.list_all(connection)
    engine.dispose()


def test_times_come_back_in_utc_and_naive_ones_are_refused(settings: StoreSettings) -> None:
    migrate.upgrade(settings)
    engine = open_engine(settings.url)
    local = datetime(2026, 3, 29, 3, 30, tzinfo=timezone(timedelta(hours=2)))
    with engine.begin() as connection:
        accounts.add(connection, "acme", local)
        read = accounts.get(connection, "acme").created_at
        assert read == local
        assert read.tzinfo is UTC
        with pytest.raises(StatementError, match="without a zone"):
            accounts.add(connection, "other", datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point
    engine.dispose()


# What the release before the spool writes for each message, and what it reads of it.
_BEFORE_THE_SPOOL = (
    "INSERT INTO messages (id, created_at, credential_id, username, queue_id, sender, recipients, "
    "header_from, subject, size, size_after, tags, features, applied, skipped, seconds, mode, metadata) "
    "VALUES ('a', '2026-05-01 12:30:15.123456', 7, 'gpx', '4Xy', 'a@a.test', '[]', '', '', 1, 1, "
    "'[]', '[]', '[]', '{}', '{}', 'live', '{}')"
)


def test_the_release_before_goes_on_recording_while_the_next_one_is_put_in(settings: StoreSettings) -> None:
    """Its records are there too, and still there when the new release is taken back."""
    migrate.upgrade(settings)
    with closing(sqlite3.connect(database_file(settings.journal))) as connection, connection:
        connection.execute(_BEFORE_THE_SPOOL)
    migrate.downgrade_one(settings, "journal", "0004")
    with closing(sqlite3.connect(database_file(settings.journal))) as connection:
        assert connection.execute("SELECT id, queue_id FROM messages").fetchall() == [("a", "4Xy")]


def test_accounts_survive_the_way_to_the_next_schema_and_back(settings: StoreSettings) -> None:
    migrate.upgrade(settings)
    migrate.downgrade_one(settings, "directory", "0009")
    with closing(sqlite3.connect(database_file(settings.url))) as connection, connection:
        connection.execute("INSERT INTO accounts (name, created_at) VALUES ('acme', '2026-05-01 12:30:15.0')")
    migrate.upgrade(settings)
    engine = open_engine(settings.url)
    with engine.begin() as connection_:
        assert accounts.get(connection_, "acme").keep_days is None
        assert accounts.change(connection_, "acme", keep_days=30) == accounts.get(connection_, "acme")
        with pytest.raises(StoreError, match="36501 days cannot be kept; expected 0"):
            accounts.change(connection_, "acme", keep_days=36_501)
    engine.dispose()
