"""The hot path's reading without SQLAlchemy: the same values, and less to load."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from gatepost_core.domain import ImportedSecret, Options, Rules
from gatepost_core.keys.dkim_keys import NewKey
from gatepost_core.keys.passwords import derive, new_password
from gatepost_core.store import Reader, StoreUnavailable, credentials, database_file, domains

from .stores import Store, make_store

NOW = datetime(2026, 5, 1, 12, 30, 15, 250, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path)


def fill(store: Store) -> None:
    """Make a credential and a domain that have everything that there is."""
    engine = store.engine()
    with engine.begin() as connection:
        credentials.add(
            connection,
            account="acme",
            username="fü'll",
            derived=derive(store.keyring, new_password()),
            now=NOW,
            label="a label",
            features={"trackclicks": True, "tags": ("a", "b")},
            rules=Rules(senders=("a@example.test",), networks=("192.0.2.0/24",)),
            options=Options(overrides="ignored", header_add=(("X-A", "b"),)),
            expires_at=NOW + timedelta(days=1),
            imported=ImportedSecret("$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA", NOW),
        )
        overlap = NOW + timedelta(hours=1)
        credentials.change(connection, "bob", label="", features={"tags": ()})
        credentials.rotate(connection, "alice", derive(store.keyring, new_password()), NOW, overlap)
        domains.rotate(
            connection,
            "example.test",
            keys=[NewKey("s1", "rsa", "cHVibGlj", b"sealed\0"), NewKey("s2", "ed25519", "cA==", b"")],
            now=NOW,
            activates_at=NOW,
            retires_at=overlap,
        )
    engine.dispose()


def test_the_driver_reads_what_sqlalchemy_reads(store: Store) -> None:
    fill(store)
    store.other_account(granted=True)
    reader, engine = Reader(store.settings.store.url), store.engine()
    with engine.connect() as connection:
        for name in ("alice", "bob", "off", "old", "jörg", "fü'll", "nobody", "' OR 1=1 --"):
            expected = credentials.find(connection, name)
            assert reader.credential(name) == expected
            assert (expected is None) == (name in {"nobody", "' OR 1=1 --"})
        for name in ("example.test", "EXAMPLE.test", "other.test", "beta.test"):
            assert reader.domain(name) == domains.find(connection, name)
    found = reader.domain("example.test")
    assert found is not None
    assert [key.selector for key in found.keys] == ["s1", "s2"]
    engine.dispose()
    reader.close()


@pytest.mark.parametrize(
    "url", ["sqlite:////var/lib/a%20b.db", "sqlite:///a/b.db", "sqlite:////c.db?mode=ro"]
)
def test_a_url_means_the_file_that_it_means_to_sqlalchemy(url: str) -> None:
    assert str(database_file(url)) == make_url(url).database


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "postgresql+psycopg://host/name"])
def test_a_url_without_a_file_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="no file in the database URL"):
        database_file(url)


@pytest.mark.parametrize("daemon", ["sasl", "policy", "milter"])
def test_a_daemon_loads_no_sqlalchemy(daemon: str) -> None:
    """14 MB in each of them, for what the driver does."""
    code = (
        f"import sys, gatepost_{daemon}.main; sys.exit(any(n.startswith('sqlalchemy') for n in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_store_without_this_releases_tables_is_told_with_the_mend(store: Store) -> None:
    engine = store.engine()
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE secrets")
    engine.dispose()
    reader = Reader(store.settings.store.url)
    with pytest.raises(StoreUnavailable, match="no such table: secrets; run 'gatepost store upgrade'"):
        reader.credential("alice")
    reader.close()


def test_a_database_that_somebody_has_locked_whole_is_told_and_found_again(store: Store) -> None:
    locker = sqlite3.connect(store.folder / "directory.db", isolation_level=None)
    locker.execute("PRAGMA locking_mode = EXCLUSIVE")
    locker.execute("BEGIN EXCLUSIVE")
    reader = Reader(store.settings.store.url)
    with pytest.raises(StoreUnavailable, match="locked"):
        reader.credential("alice")
    locker.execute("COMMIT")
    locker.close()
    assert reader.credential("alice") is not None
    reader.close()


def test_an_event_loop_waits_for_a_lock_a_moment_only(store: Store) -> None:
    """With it wait all other answers of the worker; Postfix waits ten seconds for each."""
    reader = Reader(store.settings.store.url)
    assert reader.credential("alice") is not None
    assert reader._lookups._connection is not None
    assert reader._lookups._connection.execute("PRAGMA busy_timeout").fetchone()[0] <= 1000
    reader.close()
