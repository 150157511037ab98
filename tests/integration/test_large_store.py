"""A store with ten million events: lists, and pruning half of it while mail flows. Figures, by hand.

``pytest -s -m measurement``; the plain run has the same with a thousandth of it, without figures that decide.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import pytest
from sqlalchemy import select

from gatepost_bench.load import Order
from gatepost_bench.mail import run_load
from gatepost_core.domain import ids
from gatepost_core.store import database_file, events, messages, schema
from gatepost_core.store.sqlite.driver import time_out
from gatepost_stack.stack import Stack
from tests.integration.harness import Gateway, text_message
from tests.waiting import until

EVENTS_A_MESSAGE = 4
DAYS = 60
TYPES = ("accepted", "delivered", "opened", "clicked")
COLUMNS = (
    "id, created_at, credential_id, username, queue_id, sender, recipients, header_from, subject, size, "
    "size_after, tags, features, applied, skipped, seconds, mode, metadata, account_id, message_id, "
    "from_address"
)


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Stack(tmp_path_factory.mktemp("large"), tables={"events": {"prune_interval": 1}}) as stack:
        yield Gateway(stack)


def domain(number: int) -> str:
    return f"domain{number % 500}.example.net"


def reader(number: int) -> str:
    return f"reader{number * 7919 % 100_003}@{domain(number)}"


def rows(count: int, account: int) -> Iterator[tuple[str, str, int, tuple[object, ...]]]:
    """Yield id, time, number and row of messages: spread evenly over the last days, half of them old."""
    now = datetime.now(UTC)
    for number in range(count):
        at = now - timedelta(days=DAYS) * (1 - number / count)
        name, time_ = ids.new(int(at.timestamp() * 1000)), time_out(at)
        shop, subject = "shop@example.test", f"Your order {number}"
        yield name, time_, number, (
            name, time_, 1 + number % 100, f"gp{number % 100:06}", f"4L{number:010}", shop,
            json.dumps([reader(number)]), shop, subject, 19_000, 21_000, '["orders"]', '["trackclicks"]',
            '["trackclicks"]', "{}", "{}", "live", "{}", account, f"<{number}@example.test>", shop,
        )  # fmt: skip


def fill(gateway: Gateway, count: int) -> None:
    """Write messages, each with a recipient, a tag and events, straight into the tables."""
    with closing(sqlite3.connect(database_file(gateway.stack.settings.store.url))) as directory:
        (account,) = directory.execute("SELECT id FROM accounts").fetchone()
    journal = sqlite3.connect(database_file(gateway.stack.settings.store.journal), isolation_level=None)
    with closing(journal):
        journal.execute("PRAGMA synchronous = OFF")
        journal.execute("PRAGMA cache_size = -500000")
        journal.execute("INSERT OR IGNORE INTO nodes (id, name) VALUES (99, 'elsewhere')")
        kept = list(range(21))
        sequence = 0
        batch: list[tuple[str, str, int, tuple[object, ...]]] = []
        for one in rows(count, account):
            batch.append(one)
            if len(batch) == 20_000 or one[2] == count - 1:
                journal.execute("BEGIN")
                places = ", ".join("?" for _ in kept)
                journal.executemany(
                    f"INSERT INTO messages ({COLUMNS}) VALUES ({places})",  # noqa: S608
                    [row for _, _, _, row in batch],
                )
                journal.executemany(
                    "INSERT INTO recipients (message_id, address, domain) VALUES (?, ?, ?)",
                    [(name, reader(n), domain(n)) for name, _, n, _ in batch],
                )
                journal.executemany(
                    "INSERT INTO tags (tag, message_id) VALUES ('orders', ?)", [(one[0],) for one in batch]
                )
                told = []
                for name, at, number, _ in batch:
                    for type_ in TYPES[:EVENTS_A_MESSAGE]:
                        sequence += 1
                        told.append(
                            (99, sequence, ids.new(sequence), at, type_, name, "", number % 100, account)
                        )
                journal.executemany(
                    "INSERT INTO events (node, sequence, id, time, type, message_id, recipient, "
                    "credential_id, account_id, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '{}')",
                    told,
                )
                journal.execute("COMMIT")
                batch.clear()
        journal.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def rate(gateway: Gateway, file: Path, messages: int) -> float:
    """Return the messages that are accepted a second."""
    login = gateway.stack.provision.credential()
    outcome = run_load(
        Order(
            port=gateway.stack.ports[0],
            ca_file=gateway.ca_file,
            message_file=str(file),
            messages=messages,
            sessions=10,
            per_connection=50,
            username=login.username,
            password=login.password,
        )
    )
    return outcome.accepted / outcome.seconds


def events_left(gateway: Gateway) -> int:
    with closing(sqlite3.connect(database_file(gateway.stack.settings.store.journal))) as journal:
        (number,) = journal.execute("SELECT count(*) FROM events WHERE node = 99").fetchone()
    return int(number)


def keep(gateway: Gateway, days: int) -> None:
    with closing(sqlite3.connect(database_file(gateway.stack.settings.store.url))) as directory, directory:
        directory.execute("UPDATE accounts SET keep_days = ?", (days,))


def pruned_under_load(gateway: Gateway, folder: Path, count: int, sent: int) -> tuple[float, float]:
    """Prune half of a store while mail flows; return the rates before and meanwhile."""
    gateway.stack.supervisor.hold("events")
    began = time.monotonic()
    fill(gateway, count)
    print(f"{count * EVENTS_A_MESSAGE:,} events written in {time.monotonic() - began:.0f} s")
    gateway.stack.supervisor.release("events")
    letter = folder / "letter.eml"
    letter.write_bytes(text_message(body="Hello, this is a line of text.\r\n" * 120))
    listed(gateway)
    rate(gateway, letter, sent)
    before = median(rate(gateway, letter, sent) for _ in range(3))
    keep(gateway, DAYS // 2)
    until(lambda: events_left(gateway) < count * EVENTS_A_MESSAGE, "the first events to go", 60)
    meanwhile = median(rate(gateway, letter, sent) for _ in range(3))
    left = events_left(gateway)
    print(f"{before:.0f} messages/s before, {meanwhile:.0f} while pruning; {left:,} events are left")
    return before, meanwhile


def test_half_of_a_store_goes_while_mail_flows(own: Gateway, tmp_path: Path) -> None:
    count = 2_500
    pruned_under_load(own, tmp_path, count, 200)
    own.logged("events", "let go of what is old", 120)
    assert abs(events_left(own) - count * EVENTS_A_MESSAGE // 2) <= EVENTS_A_MESSAGE
    own.caught_up()


def listed(gateway: Gateway) -> None:
    """Print how long first pages and filters take, as commands ask for them."""
    filters: dict[str, messages.Wanted] = {
        "all": messages.Wanted(),
        "credential": messages.Wanted(credential="gp000042"),
        "recipient": messages.Wanted(to=reader(1_234)),
        "recipients' domain": messages.Wanted(to=domain(7)),
        "sender": messages.Wanted(sender="shop@example.test"),
        "tag": messages.Wanted(tag="orders"),
        "a tag that nobody has": messages.Wanted(tag="none"),
        "subject": messages.Wanted(subject="Your order"),
        "a subject that nobody has": messages.Wanted(subject="nothing like it"),
        "since": messages.Wanted(since=datetime.now(UTC) - timedelta(days=1)),
    }
    with gateway.journal() as connection:
        for name, wanted in filters.items():
            began = time.monotonic()
            page = messages.page(connection, wanted, 20)
            took = time.monotonic() - began
            print(f"{name}: {len(page.items)} in {took * 1000:.0f} ms{', stopped' if page.stopped else ''}")
        for name, asked in (
            ("events", events.Wanted()),
            ("events of a type", events.Wanted(types=("clicked",))),
            ("events of a credential", events.Wanted(credential="gp000042")),
        ):
            began = time.monotonic()
            found = events.page(connection, asked, 20)
            print(f"{name}: {len(found.items)} in {(time.monotonic() - began) * 1000:.0f} ms")
        (number,) = connection.execute(select(schema.messages.c.queue_id).limit(1)).one()
        began = time.monotonic()
        messages.get(connection, number)
        print(f"one by its queue id: {(time.monotonic() - began) * 1000:.1f} ms")


@pytest.mark.measurement
@pytest.mark.timeout(3600)
def test_the_rate_of_mail_while_half_of_ten_million_events_goes(own: Gateway, tmp_path: Path) -> None:
    before, meanwhile = pruned_under_load(own, tmp_path, 2_500_000, 3_000)
    print(f"ratio {meanwhile / before:.2f}")
    began, gone = time.monotonic(), events_left(own)
    time.sleep(20)  # how fast it goes by itself
    seconds = time.monotonic() - began
    print(f"{(gone - events_left(own)) / seconds:,.0f} events a second")
