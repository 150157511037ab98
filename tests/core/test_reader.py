"""The cached reader: quick while nothing changed, and never a moment behind a change."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatepost_core.domain import MessageRecord, State, WallMode
from gatepost_core.keys.passwords import derive, new_password
from gatepost_core.store import Reader, StoreUnavailable, credentials, domains
from gatepost_core.store.claims import grants
from gatepost_core.store.sqlite.lookups import IDENTITY_SECONDS, RACY_NANOSECONDS
from tests.core.journals import keep

from .stores import BOUNCES, Store, make_store

NONE, ONE, TWO = frozenset[int](), frozenset({1}), frozenset({2})  # ids of accounts


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path)


@pytest.fixture
def reader(store: Store) -> Iterator[Reader]:
    reader = Reader(store.settings.store.url)
    yield reader
    reader.close()


def state(reader: Reader, username: str = "alice") -> State | None:
    credential = reader.credential(username)
    return None if credential is None else credential.state


def gatepost(store: Store, *words: str) -> None:
    """Change the store as an operator does, in a process of its own."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GATEPOST_")}
    subprocess.run(
        [sys.executable, "-m", "gatepost_cli", "--config", store.config, *words],
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=60,
        env=environ,
    )


def record(number: int) -> MessageRecord:
    return MessageRecord(
        id=f"{number:021}",
        created_at=datetime.now(UTC),
        credential_id=1,
        username="alice",
        queue_id=f"Q{number}",
        sender="a@example.test",
        recipients=("b@example.test",),
        header_from="a@example.test",
        subject="Hello",
        size=1,
        size_after=1,
        tags=(),
        features=(),
        applied=(),
        skipped={},
    )


def test_what_did_not_change_is_read_once(reader: Reader) -> None:
    for _ in range(50):
        assert state(reader) is State.ACTIVE
        assert reader.credential("nobody") is None
        assert reader.bounce_domain(BOUNCES)
        assert reader.domain("example.test") is not None
    assert reader.loads == 4


def test_a_change_by_another_process_is_seen_at_the_very_next_look_up(store: Store, reader: Reader) -> None:
    assert state(reader) is State.ACTIVE
    gatepost(store, "credential", "disable", "alice")
    assert state(reader) is State.DISABLED
    gatepost(store, "credential", "enable", "alice")
    assert state(reader) is State.ACTIVE
    gatepost(store, "credential", "remove", "alice")
    assert state(reader) is None


def test_each_of_many_changes_is_seen_at_once(store: Store, reader: Reader) -> None:
    for _ in range(25):
        for wanted in (State.DISABLED, State.ACTIVE):
            store.set_state("alice", wanted)
            assert state(reader) is wanted


def test_a_change_long_after_the_last_one_is_seen_at_once_too(store: Store, reader: Reader) -> None:
    """Once the log's time stamp is old enough to be trusted, it alone is looked at; then it must tell."""
    state(reader)
    for wanted in (State.DISABLED, State.ACTIVE, State.DISABLED):
        stamp = (store.folder / "directory.db-wal").stat().st_mtime_ns
        while time.time_ns() - stamp < 2 * RACY_NANOSECONDS:
            state(reader)
        assert reader._lookups.settled is not None
        store.set_state("alice", wanted)
        assert state(reader) is wanted


def test_a_store_that_nobody_changes_is_not_asked_about_it(store: Store, reader: Reader) -> None:
    assert state(reader) is State.ACTIVE
    stamp = (store.folder / "directory.db-wal").stat().st_mtime_ns
    while time.time_ns() - stamp < 2 * RACY_NANOSECONDS:
        state(reader)
    assert state(reader) is State.ACTIVE
    asked = list[str]()
    connection = reader._lookups._connection
    assert connection is not None
    connection.set_trace_callback(asked.append)
    until = time.monotonic() + 3 * IDENTITY_SECONDS
    while time.monotonic() < until:
        assert state(reader) is State.ACTIVE
    assert not asked
    store.set_state("alice", State.DISABLED)
    assert state(reader) is State.DISABLED
    assert asked


def test_what_one_thread_is_about_to_forget_no_other_takes_for_good(
    store: Store, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads look without a lock; between being told of a change and forgetting, nothing holds."""
    told = list[bool]()

    def forget() -> None:
        told.append(reader._lookups.unchanged(reader._holds))
        Reader._forget(reader)

    state(reader)
    for wanted in (State.DISABLED, State.ACTIVE):
        stamp = (store.folder / "directory.db-wal").stat().st_mtime_ns
        while time.time_ns() - stamp < 2 * RACY_NANOSECONDS:
            state(reader)
        assert reader._lookups.unchanged(reader._holds)
        store.set_state("alice", wanted)
        stamp = (store.folder / "directory.db-wal").stat().st_mtime_ns
        while time.time_ns() - stamp < 2 * RACY_NANOSECONDS:
            pass  # so that the log settles with the very question that tells of the change
        monkeypatch.setattr(reader, "_forget", forget)
        assert state(reader) is wanted
        monkeypatch.undo()
    assert told == [False, False]


def test_a_login_made_after_it_was_asked_for_is_found(store: Store, reader: Reader) -> None:
    assert reader.credential("gpnew") is None
    engine = store.engine()
    with engine.begin() as connection:
        credentials.add(
            connection,
            account="acme",
            username="gpnew",
            derived=derive(store.keyring, new_password()),
            now=datetime.now(UTC),
        )
    engine.dispose()
    assert reader.credential("gpnew") is not None


def test_a_removed_bounce_domain_is_one_no_more(store: Store, reader: Reader) -> None:
    assert reader.bounce_domain(BOUNCES.upper())
    assert not reader.bounce_domain("example.test")
    engine = store.engine()
    with engine.begin() as connection:
        domains.remove(connection, "example.test")
    engine.dispose()
    assert not reader.bounce_domain(BOUNCES.upper())
    assert reader.domain("example.test") is None


def test_messages_cause_no_credential_to_be_read_again(store: Store, reader: Reader) -> None:
    assert state(reader) is State.ACTIVE
    before = reader.loads
    for number in range(100):
        keep(store.settings.store.journal, [record(number)])  # each a commit of its own
        assert state(reader) is State.ACTIVE
    assert reader.loads == before
    store.set_state("bob", State.DISABLED)
    assert state(reader) is State.ACTIVE
    assert reader.loads == before + 1  # the change of a credential does


def test_a_database_replaced_by_a_backup_is_read_anew(store: Store, reader: Reader) -> None:
    file, copy = store.folder / "directory.db", store.folder / "backup.db"
    source, target = sqlite3.connect(file), sqlite3.connect(copy)
    source.backup(target)
    source.close()
    target.close()
    store.set_state("alice", State.DISABLED)
    assert state(reader) is State.DISABLED
    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    copy.replace(file)
    assert state(reader) is State.ACTIVE
    store.set_state("alice", State.DISABLED)
    assert state(reader) is State.DISABLED


def test_a_store_that_is_gone_is_told_and_found_again(store: Store, reader: Reader) -> None:
    file = store.folder / "directory.db"
    assert state(reader) is State.ACTIVE
    away = file.rename(store.folder / "away.db")
    gone = time.monotonic()
    while time.monotonic() < gone + IDENTITY_SECONDS:
        pass
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match=r"directory\.db"):
            reader.credential("alice")
    assert not file.exists()  # no empty database in its place
    away.rename(file)
    assert state(reader) is State.ACTIVE


def test_a_store_that_is_no_database_is_told_and_found_again(store: Store) -> None:
    file = store.folder / "directory.db"
    away = file.rename(store.folder / "away.db")
    file.write_bytes(os.urandom(8192))
    reader = Reader(store.settings.store.url)
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="file is not a database"):
            reader.credential("alice")
    away.replace(file)
    assert state(reader) is State.ACTIVE
    reader.close()


def test_the_cache_has_a_bound(store: Store) -> None:
    reader = Reader(store.settings.store.url, entries=2)
    for _ in range(2):
        for username in ("alice", "bob", "off"):
            assert reader.credential(username) is not None
    assert reader.loads == 6
    assert reader.credential("off") is not None
    assert reader.loads == 6
    reader.close()


def test_names_made_up_push_out_nobody_who_logs_in(store: Store) -> None:
    reader = Reader(store.settings.store.url, entries=10)
    for number in range(200):
        assert reader.credential("alice") is not None
        assert reader.credential(f"nobody{number}") is None
    assert reader.loads == 201
    reader.close()


def test_a_closed_reader_opens_again(reader: Reader) -> None:
    assert state(reader) is State.ACTIVE
    reader.close()
    assert state(reader) is State.ACTIVE


def test_threads_read_side_by_side_while_a_credential_changes(store: Store, reader: Reader) -> None:
    going = threading.Event()

    def look() -> int:
        looked = 0
        while not going.is_set() or looked < 50:
            assert state(reader) is not None
            assert state(reader, "bob") is State.ACTIVE
            looked += 1
        return looked

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(look) for _ in range(4)]
        for _ in range(10):
            store.set_state("alice", State.DISABLED)
            assert state(reader) is State.DISABLED
            store.set_state("alice", State.ACTIVE)
            assert state(reader) is State.ACTIVE
        going.set()
        assert all(task.result(timeout=30) >= 50 for task in running)


def test_a_look_up_waits_for_no_writer(store: Store, reader: Reader) -> None:
    assert state(reader) is State.ACTIVE
    engine = store.engine()
    with engine.begin() as connection:
        credentials.change(connection, "alice", state=State.DISABLED)
        assert state(reader) is State.ACTIVE  # not committed yet
    assert state(reader) is State.DISABLED
    engine.dispose()


def test_whom_a_name_belongs_to_is_told_with_all_that_stand_above_it(store: Store, reader: Reader) -> None:
    store.other_account("beta", "news.example.test", granted=True)
    claims = reader.claims("x.bounces.news.example.test")
    assert [one.name for one in claims] == ["bounces.news.example.test", "news.example.test", "example.test"]
    assert [(one.owners, one.granted) for one in claims] == [(TWO, ONE), (TWO, ONE), (ONE, NONE)]
    assert [one.name for one in reader.claims("click.example.test")] == ["click.example.test", "example.test"]
    assert reader.claims("example.org") == reader.claims("test") == reader.claims("") == ()


def test_a_grant_of_a_name_that_nobody_registered_is_told_too(store: Store, reader: Reader) -> None:
    engine = store.engine()
    with engine.begin() as connection:
        grants.grant(connection, "mx.gw.test", "acme", datetime.now(UTC), ["mx.gw.test"])
    engine.dispose()
    [claim] = reader.claims("a.mx.gw.test")
    assert (claim.name, claim.owners, claim.granted) == ("mx.gw.test", NONE, ONE)


def test_names_are_read_once_also_when_nobody_has_them_and_however_many_labels_they_have(
    reader: Reader,
) -> None:
    long = ".".join(["x"] * 100 + ["example", "test"])
    for _ in range(50):
        assert [one.name for one in reader.claims(long)] == ["example.test"]
        assert reader.claims("a.b.nobody.test") == ()
    assert reader.loads == 2


@pytest.mark.parametrize("labels", [3, 100])
def test_a_name_takes_one_question_that_looks_at_each_label_once(reader: Reader, labels: int) -> None:
    """SQLite's own count of steps: no more a label than a look into three indexes."""
    reader.claims("warm.example.test")
    connection = reader._lookups._connection
    assert connection is not None
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    connection.set_progress_handler(count, 1)
    reader.claims(".".join(["x"] * (labels - 2) + ["example", "test"]))
    connection.set_progress_handler(None, 1)
    assert 0 < steps < 500 + 100 * labels


def test_names_that_a_client_makes_up_push_no_credential_out(store: Store) -> None:
    reader = Reader(store.settings.store.url, entries=2)
    assert reader.credential("alice") is not None
    for number in range(3_000):
        reader.claims(f"x{number}.nobody.test")
    loads = reader.loads
    assert reader.credential("alice") is not None
    assert reader.loads == loads
    assert len(reader._claims) <= 2_000
    reader.close()


def test_a_grant_and_walls_count_at_the_next_look_up(store: Store, reader: Reader) -> None:
    store.other_account()
    assert reader.credential("alice") is not None
    assert reader.claims("beta.test")[0].granted == set()
    gatepost(store, "domain", "grant", "beta.test", "--to", "acme")
    assert reader.credential("alice") is not None
    assert reader.claims("beta.test")[0].granted == {1}
    assert reader.walls() is WallMode.ENFORCE
    gatepost(store, "domain", "walls", "report")
    assert reader.walls() is WallMode.REPORT


def test_asking_for_imported_hashes_hides_no_change(store: Store, reader: Reader) -> None:
    """SQLite tells of a change once, whoever asks."""
    assert state(reader) is State.ACTIVE
    store.set_state("alice", State.DISABLED)
    reader.imported_hashes()
    assert state(reader) is State.DISABLED


def test_a_retired_click_domain_is_its_accounts_still(store: Store, reader: Reader) -> None:
    engine = store.engine()
    with engine.begin() as connection:
        domains.set_click_domain(connection, "example.test", "go.elsewhere.test", datetime.now(UTC))
        domains.set_click_domain(connection, "example.test", "new.elsewhere.test", datetime.now(UTC))
    engine.dispose()
    assert [(one.name, one.owners) for one in reader.claims("x.go.elsewhere.test")] == [
        ("go.elsewhere.test", ONE)
    ]
