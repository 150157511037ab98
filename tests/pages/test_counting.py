"""Counts for the first page: as many days as there is time for, each settled one added up once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import insert

from gatepost_core.domain.access import node
from gatepost_core.service import Context
from gatepost_core.service.showing import counting, overview
from gatepost_core.settings import Settings, StoreSettings
from gatepost_core.store import accounts, migrate
from gatepost_core.store.opening import open_backend
from gatepost_core.store.schema import nodes, rollups
from tests.core.keys import keyring

NOW = datetime(2026, 11, 28, 18, 30, tzinfo=UTC)
HOURS = 24 * 40


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A store in which two accounts sent a message to two recipients in each hour of 40 days."""
    settings = Settings(store=StoreSettings(url=f"sqlite:///{tmp_path}/store/directory.db"))
    migrate.upgrade(settings.store)
    store = open_backend(settings.store)
    with store.directory(write=True) as connection:
        numbers = [accounts.add(connection, name, NOW - timedelta(days=90)).id for name in ("a", "b")]
    last = int(NOW.timestamp()) // 3600
    with store.journal(write=True) as connection:
        connection.execute(insert(nodes).values(id=1, name="n"))
        row = {"node": 1, "kind": "credential", "key": "", "count": 1, "recipients": 2}
        connection.execute(
            insert(rollups),
            [
                row | {"hour": hour, "credential_id": number, "account_id": number, "type": type_}
                for hour in range(last - HOURS, last + 1)
                for number in numbers
                for type_ in ("accepted", "failed/mailbox")
            ],
        )
    return Context(node("tests"), store, settings, keyring, lambda: NOW)


def sent(counted: counting.Counted) -> int:
    return overview.totals(counted.hours).messages


def test_a_long_time_comes_day_by_day_and_then_at_once_and_is_all_of_it(context: Context) -> None:
    since = NOW - timedelta(days=30)
    ticks = count()
    counted = counting.counts(context, since, patience=0, ticks=lambda: float(next(ticks)))
    seen = [sent(counted)]
    while not counted.whole and len(seen) < 40:
        counted = counting.counts(context, since, patience=0, ticks=lambda: float(next(ticks)))
        seen.append(sent(counted))
    whole_days = 30 * 24 + 19  # today has 19 hours by now
    assert counted.whole
    assert seen == sorted(set(seen)), "each time a day more"
    assert seen[-1] == 2 * whole_days
    again = counting.counts(context, since, patience=0, ticks=lambda: float(next(ticks)))
    assert (again.whole, sent(again)) == (True, 2 * whole_days)


def test_a_day_is_counted_by_whole_hours_and_an_account_sees_its_own(context: Context) -> None:
    since = NOW - timedelta(hours=24)
    assert sent(counting.counts(context, since)) == 2 * 25
    totals = overview.totals(counting.counts(context, since, "a").hours)
    assert (totals.messages, totals.sent, totals.mailbox) == (25, 50, 25)
    assert totals.bounce_rate.level == "bad"


def test_another_store_s_days_are_its_own(context: Context, tmp_path: Path) -> None:
    since = NOW - timedelta(days=7)
    assert sent(counting.counts(context, since, "a", patience=60)) > 0
    other = Settings(store=StoreSettings(url=f"sqlite:///{tmp_path}/other/directory.db"))
    migrate.upgrade(other.store)
    empty = Context(node("tests"), open_backend(other.store), other, keyring, lambda: NOW)
    with empty.store.directory(write=True) as connection:
        accounts.add(connection, "a", NOW - timedelta(days=90))
    assert sent(counting.counts(empty, since, "a", patience=60)) == 0


@pytest.mark.parametrize(
    ("complaints", "level"), [(0, "good"), (9, "good"), (10, "warn"), (29, "warn"), (30, "bad")]
)
def test_rates_turn_amber_and_red_at_their_thresholds(complaints: int, level: str) -> None:
    totals = overview.Totals(0, 10_000, 10_000, 0, 0, 0, 0, complaints, 0, 0)
    assert totals.complaint_rate.level == level
