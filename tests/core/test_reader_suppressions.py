"""Looking up whether a recipient is suppressed: the newest state, by an index, no error taken for a no."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatepost_core.domain.suppressing import Reason, Suppression, hashed, keys
from gatepost_core.store import Reader, StoreUnavailable, suppressions
from gatepost_core.store.sqlite import lookups

from .stores import Store, make_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path)


@pytest.fixture
def reader(store: Store) -> Iterator[Reader]:
    reader = Reader(store.settings.store.url)
    yield reader
    reader.close()


def suppress(store: Store, *entries: Suppression) -> None:
    with store.writing() as connection:
        suppressions.put(connection, entries, datetime.now(UTC))


def test_who_is_suppressed_is_told_from_the_very_next_look_up_on(store: Store, reader: Reader) -> None:
    def found(recipient: str, account: int = 1, credential: str = "alice") -> list[str]:
        return [one.address for one in reader.suppressions(account, credential, keys(recipient))]

    assert found("bob@example.org") == []
    now = datetime.now(UTC)
    suppress(
        store,
        Suppression(1, "bob@example.org", Reason.BOUNCE, now),
        Suppression(1, "example.net", Reason.MANUAL, now, credential="alice"),
        Suppression(1, hashed("anna@example.org"), Reason.COMPLAINT, now, expires_at=now),
        Suppression(1, "*.sub.example.org", Reason.UNSUBSCRIBE, now, credential="alice", tag="news"),
    )
    assert found("Bob@example.org") == ["bob@example.org"]
    assert found("bob@example.org", account=2) == []
    assert found("x@example.net") == ["example.net"]
    assert found("x@example.net", credential="off") == []
    assert found("anna@example.org") == [hashed("anna@example.org")]
    assert found("x@y.sub.example.org") == []  # only mail with that tag
    with store.writing() as connection:
        suppressions.lift(connection, "acme", "bob@example.org", now)
    assert found("bob@example.org") == []


def test_what_counts_for_a_tag_is_told_for_its_credential_and_tag_alone(store: Store, reader: Reader) -> None:
    now = datetime.now(UTC)
    suppress(store, Suppression(1, "*.example.org", Reason.UNSUBSCRIBE, now, credential="alice", tag="news"))

    def found(account: int, credential: str, *tags: str) -> list[str]:
        return [
            one.address
            for one in reader.suppressed_by_tag(account, credential, tags, keys("b@mail.example.org"))
        ]

    assert found(1, "alice", "march", "news") == ["*.example.org"]
    assert found(1, "alice", "march") == found(1, "off", "news") == found(2, "alice", "news") == []


def test_the_driver_reads_suppressions_as_sqlalchemy_does(store: Store, reader: Reader) -> None:
    now = datetime.now(UTC)
    suppress(
        store,
        Suppression(
            1, "b@x.org", Reason.BOUNCE, now, "alice", "", now, event="e", message="m", detail="550 ü"
        ),
    )
    with store.writing() as connection:
        (listed,) = suppressions.matching(connection, "b@x.org")
    assert reader.suppressions(1, "alice", ["b@x.org"]) == [listed.suppression]


def test_a_recipient_is_looked_up_by_an_index_and_nothing_is_cached(store: Store, reader: Reader) -> None:
    assert reader.credential("alice") is not None
    with closing(sqlite3.connect(store.folder / "directory.db")) as database:
        plan = database.execute(f"EXPLAIN QUERY PLAN {lookups._SUPPRESSED}", ("[]", 1, "")).fetchall()
    (step,) = [row[-1] for row in plan if " s " in row[-1]]
    assert "SEARCH s USING INDEX" in step
    assert "(account_id=? AND address=? AND credential=? AND tag=?)" in step
    before = reader.loads
    for number in range(10_000):
        assert reader.suppressions(1, "alice", keys(f"r{number}@example.org")) == []
    assert reader.loads == before
    assert reader._lookups._connection is not None
    assert reader.credential("alice") is not None
    assert reader.loads == before


def test_a_store_that_cannot_be_read_tells_nobody_that_a_recipient_is_free(
    store: Store, reader: Reader
) -> None:
    assert reader.suppressions(1, "alice", ["x@y.org"]) == []
    with store.writing() as connection:
        connection.exec_driver_sql("DROP TABLE suppressions")
    with pytest.raises(StoreUnavailable, match="no such table: suppressions; run 'gatepost store upgrade'"):
        reader.suppressions(1, "alice", ["x@y.org"])
