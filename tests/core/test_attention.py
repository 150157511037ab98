"""What needs attention on the dashboard's first page: bounded, whatever there is beside it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.engine import Engine

from gatepost_core.domain.access import ROLES, Actor, ActorKind, Role, node
from gatepost_core.service import Context
from gatepost_core.service.showing import overview
from gatepost_core.store import accounts, credentials
from gatepost_core.store.opening import open_backend
from tests.core.stores import Store, make_store


def context_of(store: Store, account: str | None = None) -> Context:
    backend = open_backend(store.settings.store)
    actor = node("tests")
    if account is not None:
        actor = Actor(ActorKind.USER, "1", "ann", account, ROLES[Role.VIEWER])
    return Context(actor, backend, store.settings, lambda: store.keyring)


def made(context: Context, number: int, account: str, ends: timedelta | None) -> None:
    now = datetime.now(UTC)
    with context.store.directory(write=True) as connection:
        for one in range(number):
            credentials.add(
                connection,
                account=account,
                username=f"{account}{one}x{ends.days if ends else 0}",
                derived=None,
                now=now,
                label="",
                features={},
                expires_at=None if ends is None else now + ends,
            )


def test_what_ends_soon_is_told_of_ones_own_account_and_the_rest_is_not_even_read(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    context = context_of(store)
    with context.store.directory(write=True) as connection:
        accounts.add(connection, "busy", datetime.now(UTC))
        accounts.add(connection, "other", datetime.now(UTC))
    made(context, 30, "busy", timedelta(days=3))
    made(context, 300, "busy", None)
    made(context, 2, "other", timedelta(days=2))
    made(context, 2, "other", timedelta(days=20))
    read = [0]

    def count(*_: object) -> None:
        read[0] += 1

    event.listen(Engine, "before_cursor_execute", count)
    try:
        found = overview.attention(context)
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    assert len(found) == 20
    assert read[0] < 20
    assert [one.name for one in found[:2]] == ["other0x2", "other1x2"]
    of_other = overview.attention(context_of(store, "other"))
    assert [one.name for one in of_other] == ["other0x2", "other1x2"]
    assert (
        overview.attention(
            replace(context_of(store, "other"), clock=lambda: datetime.now(UTC) + timedelta(days=3))
        )
        == []
    )
