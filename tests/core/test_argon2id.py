"""Imported password hashes: only argon2id, only at a cost that a login may have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher, Type
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain import ImportedSecret, Rules, Source
from gatepost_core.keys import argon2id
from gatepost_core.keys.passwords import derive, matching
from gatepost_core.store import StoreError, accounts, credentials
from gatepost_core.store.sqlite.engine import open_engine
from tests.core.stores import PASSWORD, Store, make_store

SMALL = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
HASH = SMALL.hash("from elsewhere")
NOW = datetime.now(UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path)


def test_a_hash_is_taken_as_it_is_and_matches_its_password_only() -> None:
    assert argon2id.check(f" {HASH}\n") == HASH
    assert argon2id.matches(HASH, b"from elsewhere")
    assert not argon2id.matches(HASH, b"from Elsewhere")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not argon2id"),
        ("$2y$10$abcdefghijklmnopqrstuv", "not argon2id"),
        (PasswordHasher(1, 64, 1, type=Type.I).hash("x"), "not argon2id"),
        (HASH[:-30], "not argon2id"),
        (HASH.replace("m=64", "m=999999"), "costs too much"),
        (HASH.replace("t=1", "t=9999"), "costs too much"),
        (HASH.replace("p=1", "p=64"), "costs too much"),
        (HASH + "A" * 600, "not argon2id"),
    ],
    # Each process makes its own hashes.
    ids=["empty", "bcrypt", "argon2i", "cut", "memory", "time", "lanes", "long"],
)
def test_what_cannot_be_checked_cheaply_is_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        argon2id.check(text)


@given(st.text() | st.text(alphabet="$argon2id=v19mtp,0A").map(lambda text: "$argon2id$" + text))
def test_any_text_is_a_hash_or_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="hash"):
        argon2id.check(text)


def test_a_hash_that_became_unreadable_is_our_fault() -> None:
    with pytest.raises(LookupError):
        argon2id.matches("$argon2id$broken", b"x")


def test_an_imported_secret_stands_beside_generated_ones_and_ends_when_it_must(store: Store) -> None:
    engine = open_engine(store.settings.store.url)
    with engine.begin() as connection:
        accounts.add(connection, "moved", NOW)
        credential = credentials.add(
            connection,
            account="moved",
            username="import",
            derived=None,
            now=NOW,
            imported=ImportedSecret(HASH),
            rules=Rules(networks=("192.0.2.0/24",)),
        )
        assert matching(store.keyring, credential, "from elsewhere", NOW)
        assert not matching(store.keyring, credential, PASSWORD, NOW)
        ends = NOW + timedelta(hours=1)
        derived = derive(store.keyring, PASSWORD)
        rotated = credentials.rotate(connection, "import", derived, NOW, ends)
        assert rotated.rules.networks == ("192.0.2.0/24",)
        for password, at, good in (
            ("from elsewhere", NOW, True),
            ("from elsewhere", ends, False),
            (PASSWORD, ends, True),
        ):
            assert bool(matching(store.keyring, rotated, password, at)) is good
        at_once = credentials.rotate(connection, "import", derived, NOW, NOW)
        assert at_once.imported is None
    engine.dispose()


def test_the_password_of_a_directory_is_not_rotated_here(store: Store) -> None:
    engine = open_engine(store.settings.store.url)
    with engine.begin() as connection:
        accounts.add(connection, "people", NOW)
        made = credentials.add(
            connection, account="people", username="lena", derived=None, now=NOW, source=Source.LDAP
        )
        assert made.source is Source.LDAP
        assert not matching(store.keyring, made, "", NOW)
        with pytest.raises(StoreError, match="kept by ldap"):
            credentials.rotate(connection, "lena", derive(store.keyring, PASSWORD), NOW, NOW)
    engine.dispose()


def test_the_hash_is_not_shown_when_a_credential_is_printed() -> None:
    assert "argon2id$" not in repr(ImportedSecret(HASH))
