"""gatepost-events follows what happened, killed at any moment: each suppression once, none lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from gatepost_core.domain import ids, spooled
from gatepost_core.spool import Entry, Writer
from gatepost_core.store import suppressions
from tests.core.ingest.world import accepted, numbered
from tests.core.running import PATIENCE
from tests.core.stores import Store, make_store
from tests.events.test_daemon import SIZE, running
from tests.waiting import until

HARD = {"class": "mailbox", "permanent": True, "source": "dsn", "reply": "550 5.1.1 no such user"}


def bounce(store: Store, numbers: range) -> None:
    """Have messages to one recipient each, and their bounces, on disk, as milter and bounce intake do."""
    now = datetime.now(UTC)
    for stream in ("milter", "bounces"):
        folder = store.settings.spool.directory / stream
        folder.mkdir(mode=0o750, exist_ok=True)
        writer = Writer(folder, size=SIZE, most=64 * SIZE)
        for number in numbers:
            when = int(now.timestamp() * 1000).to_bytes(6, "big")
            made = ids.from_bytes(when + b"m" + number.to_bytes(6, "big"))
            recipient = f"r{number}@example.org"
            record = numbered(number, id=made, created_at=now, recipients=(recipient,), account_id=1)
            content = spooled.event("bounced", made, recipient, now, HARD)
            event = Entry(when + b"e" + number.to_bytes(6, "big"), spooled.VERSION, spooled.EVENT, content)
            writer.append(accepted(record) if stream == "milter" else event)
        writer.close()


def addresses(store: Store) -> list[str]:
    with closing(sqlite3.connect(store.folder / "directory.db")) as database:
        query = "SELECT address FROM suppressions WHERE removed_at IS NULL"
        return [address for (address,) in database.execute(query)]


def more_than(store: Store, number: int) -> bool:
    return len(addresses(store)) > number


@pytest.mark.parametrize("who", ["worker", "parent"])
def test_killed_at_any_moment_nobody_is_missed_and_nobody_comes_back(tmp_path: Path, who: str) -> None:
    store, wanted = make_store(tmp_path), set[str]()
    store.settings.spool.directory.mkdir(mode=0o750)
    lifted = set[str]()
    for turn in range(4):
        numbers = range(300 * turn, 300 * (turn + 1))
        bounce(store, numbers)
        wanted |= {f"r{number}@example.org" for number in numbers}
        before = len(addresses(store))
        with running(store) as node:
            until(partial(more_than, store, before), lambda: node.daemon.log, PATIENCE)
            os.kill(node.worker() if who == "worker" else node.daemon.process.pid, signal.SIGKILL)
        one = sorted(set(addresses(store)))[0]
        with store.writing() as connection:
            suppressions.lift(connection, "acme", one, datetime.now(UTC))
        lifted.add(one)
    with running(store) as node:
        until(
            lambda: set(addresses(store)) >= wanted - lifted,
            lambda: f"{len(addresses(store))} of {len(wanted)}; {node.daemon.log}",
            PATIENCE,
        )
    assert sorted(addresses(store)) == sorted(wanted - lifted)


def test_a_directory_that_is_locked_is_told_and_what_happened_counts_afterwards(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    store.settings.spool.directory.mkdir(mode=0o750)
    with running(store) as node:
        holder = sqlite3.connect(store.folder / "directory.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        bounce(store, range(1))
        node.daemon.wait_log("events cannot be followed for whom they suppress")
        assert addresses(store) == []
        holder.execute("ROLLBACK")
        holder.close()
        until(lambda: addresses(store) == ["r0@example.org"], lambda: node.daemon.log, PATIENCE)
        node.daemon.wait_log("events are followed again")
        assert "reason=bounce" in node.daemon.wait_log("suppressed address=r0@example.org")


def test_a_stream_of_bounces_is_committed_about_once_a_second(tmp_path: Path) -> None:
    """Each commit has the credentials read anew that are in use."""
    store = make_store(tmp_path)
    store.settings.spool.directory.mkdir(mode=0o750)
    with running(store) as node, closing(sqlite3.connect(store.folder / "directory.db")) as database:
        changes, last = 0, database.execute("PRAGMA data_version").fetchone()
        number = 0

        def all_there() -> bool:
            nonlocal changes, last, number
            if number < 400:
                bounce(store, range(number, number + 20))
                number += 20
            now = database.execute("PRAGMA data_version").fetchone()
            changes, last = changes + (now != last), now
            return number == 400 and len(addresses(store)) == 400

        began = time.monotonic()
        until(all_there, lambda: f"{len(addresses(store))}; {node.daemon.log}", PATIENCE)
        # One at once, then one a second; one more where a step was read in between.
        assert changes <= time.monotonic() - began + 3
