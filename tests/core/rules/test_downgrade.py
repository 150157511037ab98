"""A store on its way back to a release that knows fewer rules: nothing is sent that a rule would refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatepost_core.domain import Rules, State, StoreUnavailable
from gatepost_core.store import accounts, credentials, migrate
from tests.core.stores import make_store


def test_credentials_with_rules_that_the_release_before_lacks_are_off_there(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    with store.writing() as connection:
        credentials.change(connection, "alice", rules=Rules(max_size=1_000))
        credentials.change(connection, "jörg", rules=Rules(lifted=frozenset({"recipients"})))
    migrate.downgrade_one(store.settings.store, "directory", "0015")
    migrate.upgrade(store.settings.store)
    with store.writing() as connection:
        states = {name: credentials.get(connection, name).state for name in ("alice", "bob", "jörg")}
        assert states == {"alice": State.DISABLED, "bob": State.ACTIVE, "jörg": State.ACTIVE}
        # bob has senders alone, which that release knows, and jörg does without a rule; an account's defaults
        # it does not know.
        accounts.change(connection, "acme", rules=Rules(denied_recipients=("evil.test",)))
    migrate.downgrade_one(store.settings.store, "directory", "0015")
    migrate.upgrade(store.settings.store)
    with store.writing() as connection:
        assert credentials.get(connection, "bob").state is State.DISABLED


def test_rules_of_a_newer_release_are_a_fault_and_no_permit(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    with store.writing() as connection:
        connection.exec_driver_sql("""UPDATE credentials SET rules = '{"moon": ["full"]}'""")
        with pytest.raises(StoreUnavailable, match="does not know: moon"):
            credentials.get(connection, "alice")
