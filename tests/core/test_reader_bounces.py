"""Whose reports are forwarded, as daemons look it up: of each credential's own account."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from sqlalchemy import text

from gatepost_core.domain import Bounces
from gatepost_core.store import Reader, accounts, credentials

from .stores import make_store


def test_only_the_account_that_wants_it_has_reports_forwarded(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    with store.writing() as connection:
        one = credentials.get(connection, "alice")
        accounts.add(connection, "beta", one.created_at)
        accounts.change(connection, "beta", bounces="forward")
    with closing(Reader(store.settings.store.url)) as reader:
        assert not reader.forwards(one.id)
        with store.writing() as connection:
            accounts.change(connection, "acme", bounces="forward")
        assert reader.forwards(one.id)
        assert not reader.forwards(one.id + 1_000)
        assert reader.bounces(one.account_id) is Bounces.FORWARD
        # What a newer release wrote stops nobody else, and forwards nothing.
        with store.writing() as connection:
            connection.execute(text("UPDATE accounts SET bounces = 'newer' WHERE name = 'acme'"))
        assert reader.bounces(one.account_id) is Bounces.EVENTS
        assert not reader.forwards(one.id)
