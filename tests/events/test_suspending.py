"""gatepost-events suspends, killed at any moment: each credential once, and one event tells of it."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from gatepost_core.domain import ids, spooled
from gatepost_core.spool import Entry, Writer
from tests.core.ingest.world import accepted, numbered
from tests.core.running import PATIENCE
from tests.core.stores import Store, make_store
from tests.events.test_daemon import SIZE, running
from tests.waiting import until

LOG = {"class": "mailbox", "permanent": True, "source": "log"}
ON = ("suspension.least=50", "suspension.bounces_warn=10", "suspension.bounces_suspend=20")


def sent(store: Store, credential: int, bounced: int, number: int) -> None:
    """Have messages of a credential on disk, the first of which bounce."""
    now = datetime.now(UTC)
    when = int(now.timestamp() * 1000).to_bytes(6, "big")
    writers = {}
    for stream in ("milter", "bounces"):
        folder = store.settings.spool.directory / stream
        folder.mkdir(mode=0o750, exist_ok=True)
        writers[stream] = Writer(folder, size=SIZE, most=64 * SIZE)
    for one in range(number):
        own = bytes([credential]) + one.to_bytes(4, "big")
        made = ids.from_bytes(when + b"mm" + own)
        recipient = f"r{one}.{credential}@example.org"
        changes: dict[str, Any] = {
            "id": made,
            "created_at": now,
            "account_id": 1,
            "credential_id": credential,
        }
        writers["milter"].append(accepted(numbered(one, recipients=(recipient,), **changes)))
        if one < bounced:
            content = spooled.event("failed", made, recipient, now, LOG)
            writers["bounces"].append(Entry(when + b"ee" + own, spooled.VERSION, spooled.EVENT, content))
    for writer in writers.values():
        writer.close()


def rows(store: Store, database: str, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(store.folder / f"{database}.db")) as connection:
        return connection.execute(query).fetchall()


def done(store: Store) -> list[tuple[Any, ...]]:
    return rows(store, "directory", "SELECT credential_id, action FROM suspensions ORDER BY id")


def number(store: Store) -> int:
    return len(rows(store, "journal", "SELECT 1 FROM events"))


def more_than(store: Store, before: int) -> bool:
    return number(store) > before


def test_killed_at_any_moment_each_is_suspended_once_and_told_of_once(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    store.settings.spool.directory.mkdir(mode=0o750)
    time.sleep(0.002)  # a message of the millisecond in which the credential was made is of before it
    for turn in range(8):
        for credential in (1, 2):
            # alice is over the threshold in the fifth turn, bob never is.
            sent(store, credential, 10 if credential == 2 else 30 * (turn > 3), 60 + turn)
        before = number(store)
        with running(store, *ON) as node:
            until(partial(more_than, store, before), "the next events", PATIENCE)
            os.kill((node.worker(), node.daemon.process.pid)[turn % 2], signal.SIGKILL)
    with running(store, *ON) as node:
        until(lambda: (1, "suspended") in done(store), lambda: f"{done(store)}; {node.daemon.log}", PATIENCE)
        said = "SELECT credential_id, json_extract(detail, '$.action') FROM events WHERE type = 'suspended'"
        until(
            lambda: len(rows(store, "journal", said)) == len(done(store)), lambda: node.daemon.log, PATIENCE
        )
    assert done(store).count((1, "suspended")) == 1
    assert sorted(rows(store, "journal", said)) == sorted(done(store))
    states = "SELECT username, state FROM credentials WHERE username IN ('alice', 'bob') ORDER BY username"
    assert rows(store, "directory", states) == [("alice", "disabled"), ("bob", "active")]


def test_it_is_logged_with_its_reason_and_counted(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    with running(store, *ON) as node:
        sent(store, 1, 25, 100)
        line = node.daemon.wait_log("credential suspended")
        for text in ("user=alice", "cause=bounces", "of 100 recipients in 24 hours bounced for good"):
            assert text in line
