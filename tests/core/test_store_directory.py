"""Accounts, credentials and sender domains in a real SQLite file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select

from gatepost_core.domain import Rules, State
from gatepost_core.keys.dkim_keys import NewKey
from gatepost_core.keys.passwords import derive, matching, new_password
from gatepost_core.store import Conflict, NotFound, StoreError, accounts, credentials, domains
from gatepost_core.store.schema import dkim_keys, secrets

from .stores import PASSWORD, Store, make_store

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path)


@pytest.fixture
def connection(store: Store) -> Iterator[Connection]:
    engine = store.engine()
    with engine.begin() as connection:
        yield connection
    engine.dispose()


@pytest.mark.parametrize("name", ["", "-a", "a b", "a/b", "x" * 65, "a\n", "é"])
def test_an_account_name_that_a_shell_could_trip_over_is_refused(connection: Connection, name: str) -> None:
    with pytest.raises(StoreError, match="cannot be used; expected up to 64 letters"):
        accounts.add(connection, name, NOW)


def test_an_account_is_made_once_and_found_by_name(connection: Connection) -> None:
    made = accounts.add(connection, "zeta", NOW)
    assert accounts.get(connection, "zeta") == made
    assert [account.name for account in accounts.list_all(connection)] == ["acme", "zeta"]


def test_a_name_that_is_taken_is_a_conflict(store: Store) -> None:
    engine = store.engine()
    with pytest.raises(Conflict, match="'acme' exists already"), engine.begin() as connection:
        accounts.add(connection, "acme", NOW)
    with pytest.raises(Conflict, match=r"'example\.test' exists already"), engine.begin() as connection:
        add_domain(connection, "example.test")
    engine.dispose()


def test_an_account_that_owns_something_is_not_removed(connection: Connection) -> None:
    with pytest.raises(Conflict, match="still has credentials"):
        accounts.remove(connection, "acme")
    for credential in credentials.list_all(connection):
        credentials.remove(connection, credential.username)
    with pytest.raises(Conflict, match="still has sender domains"):
        accounts.remove(connection, "acme")
    domains.remove(connection, "example.test", NOW)
    accounts.remove(connection, "acme")
    with pytest.raises(NotFound, match="no account 'acme'"):
        accounts.get(connection, "acme")


def test_a_credential_comes_back_as_it_was_made(connection: Connection, store: Store) -> None:
    password = new_password()
    made = credentials.add(
        connection,
        account="acme",
        username="gpnew",
        derived=derive(store.keyring, password),
        now=NOW,
        label="Zürich ✓",
        features={"inlinecss": True, "tags": ("a", "b")},
        rules=Rules(senders=("example.test", "*.example.test")),
        expires_at=NOW + timedelta(days=9),
    )
    read = credentials.get(connection, "gpnew")
    assert read == made
    assert read.features == {"inlinecss": True, "tags": ("a", "b")}
    assert read.rules.senders == ("example.test", "*.example.test")
    assert (read.label, read.account, read.state) == ("Zürich ✓", "acme", State.ACTIVE)
    assert matching(store.keyring, read, password, NOW)


def test_user_names_are_told_apart_by_case_and_by_every_letter(connection: Connection) -> None:
    assert credentials.find(connection, "jörg") is not None
    for other in ("Alice", "alice ", "ALICE", "jorg", ""):
        assert credentials.find(connection, other) is None


def test_only_what_is_named_changes(connection: Connection) -> None:
    before = credentials.get(connection, "bob")
    after = credentials.change(connection, "bob", label="new", features={"inlinecss": True})
    assert (after.label, after.features) == ("new", {"inlinecss": True})
    assert (after.rules, after.state, after.secrets) == (before.rules, before.state, before.secrets)
    with pytest.raises(NotFound, match="gatepost credential list"):
        credentials.change(connection, "nobody", label="x")


def test_a_rotation_keeps_the_old_password_for_the_overlap(connection: Connection, store: Store) -> None:
    now = datetime.now(UTC)
    new = new_password()
    ends = now + timedelta(hours=1)
    rotated = credentials.rotate(connection, "alice", derive(store.keyring, new), now, ends)
    for password, at, valid in (
        (PASSWORD, now, True),
        (PASSWORD, ends, False),
        (new, now, True),
        (new, ends, True),
    ):
        assert bool(matching(store.keyring, rotated, password, at)) is valid


def test_a_second_rotation_ends_the_oldest_password(connection: Connection, store: Store) -> None:
    now = datetime.now(UTC)
    passwords = [new_password(), new_password()]
    rotated = credentials.get(connection, "alice")
    for password in passwords:
        rotated = credentials.rotate(
            connection, "alice", derive(store.keyring, password), now, now + timedelta(hours=1)
        )
    assert len(rotated.secrets) == 2
    assert not matching(store.keyring, rotated, PASSWORD, now)
    assert all(matching(store.keyring, rotated, password, now) for password in passwords)


def test_a_rotation_without_overlap_ends_the_old_password_at_once(
    connection: Connection, store: Store
) -> None:
    now = datetime.now(UTC)
    rotated = credentials.rotate(connection, "alice", derive(store.keyring, new_password()), now, now)
    assert len(rotated.secrets) == 1
    assert not matching(store.keyring, rotated, PASSWORD, now)


def test_a_removed_credential_leaves_no_secret_behind(connection: Connection) -> None:
    for credential in credentials.list_all(connection):
        credentials.remove(connection, credential.username)
    assert connection.execute(select(func.count()).select_from(secrets)).scalar() == 0
    with pytest.raises(NotFound):
        credentials.remove(connection, "alice")


def test_an_overview_holds_no_secret(connection: Connection) -> None:
    everyone = credentials.list_all(connection, "acme")
    assert [credential.username for credential in everyone] == ["alice", "bob", "off", "old", "jörg"]
    assert all(credential.secrets == () for credential in everyone)
    with pytest.raises(NotFound):
        credentials.list_all(connection, "nobody")


def add_domain(connection: Connection, name: str, click: str = "c.x.test", bounce: str = "b.x.test") -> str:
    keys = [NewKey("s1", "rsa", "AAAA", b"sealed")]
    return domains.add(
        connection,
        account="acme",
        name=name,
        click_domain=click,
        bounce_domain=bounce,
        keys=keys,
        now=NOW,
    ).name


def test_a_domain_is_kept_in_a_labels_and_found_in_any_spelling(connection: Connection) -> None:
    assert add_domain(connection, "Exämple.test.") == "xn--exmple-cua.test"
    for spelling in ("exämple.test", "XN--EXMPLE-CUA.test", "xn--exmple-cua.test."):
        found = domains.find(connection, spelling)
        assert found is not None
        assert found.name == "xn--exmple-cua.test"
        assert [(key.selector, key.sealed_private) for key in found.keys] == [("s1", b"sealed")]
    assert domains.find(connection, "sub.exämple.test") is None


@pytest.mark.parametrize(
    "name", ["", "localhost", "a b.test", "-a.test", "a..test", "a@b.test", "x" * 64 + ".test", "*.a.test"]
)
@pytest.mark.parametrize("place", ["sender", "click", "bounce"])
def test_what_is_no_host_name_is_refused_by_name(connection: Connection, name: str, place: str) -> None:
    hosts = {"sender": "ok.test", "click": "c.test", "bounce": "b.test", place: name}
    with pytest.raises(StoreError) as refused:
        add_domain(connection, hosts["sender"], hosts["click"], hosts["bounce"])
    assert f"{place} domain {name!r} is not a host name" in str(refused.value)


def test_bounces_may_not_arrive_at_the_sender_domain_itself(connection: Connection) -> None:
    with pytest.raises(StoreError, match="must not be the sender domain"):
        add_domain(connection, "y.test", bounce="Y.test")


def test_bounce_domains_are_listed_once(connection: Connection) -> None:
    add_domain(connection, "x.test")
    add_domain(connection, "y.test")
    assert domains.bounce_domains(connection) == ["b.x.test", "bounces.example.test"]


def test_a_removed_domain_leaves_no_key_behind(connection: Connection) -> None:
    add_domain(connection, "x.test")
    domains.remove(connection, "X.test", NOW)
    assert connection.execute(select(func.count()).select_from(dkim_keys)).scalar() == 0
    with pytest.raises(NotFound, match="gatepost domain list"):
        domains.get(connection, "x.test")


def test_a_private_key_does_not_show_in_a_log(connection: Connection) -> None:
    add_domain(connection, "x.test")
    assert "sealed'" not in repr(domains.get(connection, "x.test"))
    assert "sealed'" not in repr(domains.get(connection, "x.test").keys)
    assert "sealed'" not in repr(NewKey("s1", "rsa", "AAAA", b"sealed"))
