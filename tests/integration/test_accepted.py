"""What was answered with 250 is in the sink once, processed, and in the journal once, whatever happens.

Sessions send all the while; daemons are killed, the journal is locked or away. The plain run kills each
daemon six times and locks for six seconds; ``-m measurement`` fifty times, and for a minute.
"""

from __future__ import annotations

import os
import signal
import smtplib
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gatepost_core.store import database_file
from gatepost_stack.provision import ClientLogin
from gatepost_stack.stack import Stack
from tests.integration.harness import SENDER, Gateway, fresh_recipient, text_message
from tests.waiting import until

SESSIONS = 4
PER_SESSION = 20


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway of its own: its daemons are killed, and its sink is counted."""
    with Stack(tmp_path_factory.mktemp("accepted")) as stack:
        yield Gateway(stack)


@dataclass
class Load:
    """Sessions that send. ``accepted``: recipients and queue ids answered with 250; ``refused``: replies."""

    gateway: Gateway
    login: ClientLogin
    accepted: dict[str, str] = field(default_factory=dict[str, str])
    refused: list[str] = field(default_factory=list[str])
    lost: int = 0
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def session(self) -> None:
        while not self._over.is_set():
            try:
                with self.gateway.logged_in(self.login) as connection:
                    for _ in range(PER_SESSION):
                        self._send(connection)
            except smtplib.SMTPResponseException as error:
                self.refused.append(f"{error.smtp_code} {error.smtp_error!r}")
            except (OSError, smtplib.SMTPException):
                self.lost += 1

    def _send(self, connection: smtplib.SMTP) -> None:
        with self._lock:
            recipient = fresh_recipient()
        code, reply = connection.mail(SENDER)
        if code == 250:
            code, reply = connection.rcpt(recipient)
        if code == 250:
            code, reply = connection.data(text_message())
        if code == 250:
            self.accepted[recipient] = reply.decode().rpartition(" ")[2]
        else:
            self.refused.append(f"{code} {reply!r}")
            connection.rset()

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self.session) for _ in range(SESSIONS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def more(self, number: int = 3) -> None:
        """Wait until so many more messages are accepted."""
        before = len(self.accepted)
        until(
            lambda: len(self.accepted) >= before + number,
            lambda: f"more mail; the last refusals: {self.refused[-5:]}",
            60,
        )

    def check(self) -> None:
        """Each accepted message is in the sink once and signed, in the journal once; counts agree."""
        gateway = self.gateway
        gateway.caught_up()
        until(
            lambda: (
                self.accepted.keys() <= {one for item in gateway.all_delivered() for one in item.recipients}
            ),
            "all that was accepted in the sink",
            120,
        )
        arrived = Counter(one for item in gateway.all_delivered() for one in item.recipients)
        assert {arrived[one] for one in self.accepted} == {1}
        assert all(b"\nDKIM-Signature:" in b"\n" + item.message for item in gateway.all_delivered())
        with closing(sqlite3.connect(database_file(gateway.stack.settings.store.journal))) as journal:
            records = Counter(row[0] for row in journal.execute("SELECT queue_id FROM messages"))
            assert {records[number] for number in self.accepted.values()} == {1}
            assert set(records.values()) == {1}
            (counted,) = journal.execute(
                "SELECT sum(count) FROM rollups WHERE kind = 'credential' AND type = 'accepted'"
            ).fetchone()
            (events,) = journal.execute("SELECT count(*) FROM events WHERE type = 'accepted'").fetchone()
            assert counted == events == sum(records.values())
            uses = journal.execute("SELECT last_used_ip FROM credential_usage").fetchall()
            assert set(uses) == {("127.0.0.1",)}


def load_on(gateway: Gateway) -> Load:
    return Load(gateway, gateway.stack.provision.credential({"dkim": True}))


def kill(gateway: Gateway, daemon: str, number: int) -> None:
    """Kill a worker, each fifth time the parent."""
    if number % 5 == 4:
        gateway.kill_parent(daemon)
        return
    workers = gateway.workers(daemon)
    if workers:
        os.kill(workers[number % len(workers)], signal.SIGKILL)
        until(lambda: len(gateway.workers(daemon)) >= len(workers), f"another worker of {daemon}")


def killed_under_load(gateway: Gateway, times: int) -> None:
    load = load_on(gateway)
    with load.running():
        for number in range(times):
            for daemon in ("milter", "sasl", "events"):
                load.more()
                kill(gateway, daemon, number)
        load.more()
    assert len(load.accepted) > 3 * times
    assert {one[:1] for one in load.refused} <= {"4"}, load.refused
    load.check()


def test_whoever_is_killed_under_load_nothing_accepted_is_lost_or_doubled(own: Gateway) -> None:
    killed_under_load(own, 6)


@pytest.mark.measurement
@pytest.mark.timeout(3600)
def test_fifty_kills_of_each_daemon_lose_and_double_nothing(own: Gateway) -> None:
    killed_under_load(own, 50)


def locked(file: Path, seconds: float) -> None:
    """Hold a database's lock for writing."""
    with closing(sqlite3.connect(file, isolation_level=None, timeout=30)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)  # what is tested is that nobody waits for it
        holder.execute("ROLLBACK")


def away(file: Path, seconds: float) -> None:
    """Move it, and what belongs to it, to another name and back."""
    parts = [path for path in file.parent.iterdir() if path.name.startswith(file.name)]
    for path in parts:
        path.rename(path.with_name(f"away-{path.name}"))
    time.sleep(seconds)
    for path in parts:
        path.with_name(f"away-{path.name}").rename(path)


def in_trouble(gateway: Gateway, trouble: Callable[[Path, float], None], url: str, seconds: float) -> Load:
    load = load_on(gateway)
    with load.running():
        load.more()
        before = len(load.accepted)
        trouble(database_file(url), seconds)
        meanwhile = len(load.accepted) - before
        load.more()
    assert meanwhile > 3 * seconds
    return load


JOURNAL = {"locked": locked, "moved away": away}


def nothing_refused(
    gateway: Gateway, trouble: Callable[[Path, float], None], url: str, seconds: float
) -> None:
    load = in_trouble(gateway, trouble, url, seconds)
    assert load.refused == []
    assert load.lost == 0
    load.check()


@pytest.mark.parametrize("trouble", JOURNAL)
def test_no_message_is_refused_for_its_journal_and_all_are_in_it_afterwards(
    own: Gateway, trouble: str
) -> None:
    nothing_refused(own, JOURNAL[trouble], own.stack.settings.store.journal, 6)


@pytest.mark.measurement
@pytest.mark.parametrize("trouble", JOURNAL)
def test_no_message_is_refused_for_a_journal_that_is_in_trouble_for_a_minute(
    own: Gateway, trouble: str
) -> None:
    nothing_refused(own, JOURNAL[trouble], own.stack.settings.store.journal, 60)


def test_no_message_is_refused_while_the_directory_is_locked_for_writing(own: Gateway) -> None:
    nothing_refused(own, locked, own.stack.settings.store.url, 6)


def test_without_the_directory_all_is_deferred_and_afterwards_nothing_is_lost(own: Gateway) -> None:
    load = load_on(own)
    with load.running():
        load.more()
        away(database_file(own.stack.settings.store.url), 3)
        load.more()
    assert load.refused
    assert {one[:3] for one in load.refused} <= {"454", "451", "421"}, load.refused
    load.check()
