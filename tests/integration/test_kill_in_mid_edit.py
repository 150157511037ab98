"""kill -9 of a milter worker in the middle of its edits, under load, 50 times.

Postfix then has some of a message's edits and not the others. Nothing half-edited and nothing unprocessed may
reach the sink, and what a client heard 250 for is there, once. Clients that heard 4xx send again.
"""

from __future__ import annotations

import grp
import os
import random
import signal
import smtplib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from gatepost_core.keys.dkim_keys import txt_record
from gatepost_core.postfix import Parameter
from gatepost_stack.provision import ClientLogin
from gatepost_stack.stack import Stack
from tests.corpus.letters import letter
from tests.corpus.sunk import check
from tests.integration.harness import SENDER, Gateway
from tests.integration.killer import EDITS, Killer, between
from tests.integration.lone import ALL
from tests.integration.sinkreader import SinkReader
from tests.milter.dkim.judges import BOTH, by_dkimpy

KILLS = 50
CLIENTS = 6
# So large that the new body goes to Postfix in several pieces.
ATTACHED = 160_000
WORKERS = 8


def size_of(number: int) -> int:
    return ATTACHED if number % 2 else 0


class Clients:
    """Clients that send letter after letter, each until it is accepted; ``replies`` counts what they hear."""

    def __init__(self, gateway: Gateway, login: ClientLogin) -> None:
        self._gateway, self._login = gateway, login
        self._lock = threading.Lock()
        self._number = 0
        self.stopping = threading.Event()
        self.accepted: list[str] = []
        self.replies: Counter[int] = Counter()

    def run(self) -> None:
        while not self.stopping.is_set():
            with self._lock:
                self._number += 1
                number = self._number
            while not self._attempt(f"kill.{number}@example.org", number):
                pass

    def _attempt(self, recipient: str, number: int) -> bool:
        """Send one letter over a connection of its own, and say whether it was accepted."""
        try:
            with self._gateway.logged_in(self._login) as connection:
                answers = [connection.mail(SENDER, ["body=8bitmime"])]
                if answers[-1][0] == 250:
                    answers.append(connection.rcpt(recipient))
                if answers[-1][0] == 250:
                    answers.append(connection.data(letter(number, size_of(number))))
        except smtplib.SMTPResponseException as error:
            answers = [(error.smtp_code, b"")]
        code = answers[-1][0]
        with self._lock:
            self.replies[code // 100] += 1
            if code == 250 and len(answers) == 3:
                self.accepted.append(recipient)
        assert code // 100 in (2, 4), answers
        return code == 250


def run_clients(clients: Clients, done: threading.Event, seconds: float) -> None:
    """Let the clients send until ``done``, and then each to the end of its letter."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        runs: list[Future[None]] = [pool.submit(clients.run) for _ in range(CLIENTS)]
        try:
            assert done.wait(seconds), clients.replies
        finally:
            clients.stopping.set()
        for one in runs:
            one.result()


def check_sink(gateway: Gateway, clients: Clients) -> None:
    """What was accepted is in the sink, once, with every edit; nothing else is."""
    reader = SinkReader(gateway.stack.layout.delivered)
    reader.wait_for(clients.accepted)
    assert Counter(clients.accepted) == reader.times
    domain = gateway.stack.provision.domain()
    keys = {
        f"{key.selector}._domainkey.{domain.name}": txt_record(key.algorithm, key.public)
        for key in domain.keys
    }
    for item in reader.items:
        number = int(item.recipients[0].split(".")[1].partition("@")[0])
        assert item.sender.endswith("@bounces.example.test")
        images = gateway.stack.settings.images.directory
        check(number, item.message, ALL, size_of(number), images)
        assert by_dkimpy(item.message.replace(b"\n", b"\r\n"), keys) == BOTH


@pytest.fixture
def through_a_killer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose Postfix reaches the milter through a go-between."""
    extra = [Parameter("smtpd_milters", "unix:gatepost/killer", "test")]
    tables = {"milter": {"workers": WORKERS}}
    with Stack(tmp_path_factory.mktemp("killer"), extra=extra, tables=tables) as stack:
        yield Gateway(stack)


@pytest.mark.timeout(600)
def test_a_worker_killed_in_mid_edit_leaves_no_half_edited_message_and_loses_none(
    through_a_killer: Gateway,
) -> None:
    gateway = through_a_killer
    clients = Clients(gateway, gateway.stack.provision.credential(ALL))
    killer = Killer(KILLS, lambda: gateway.workers("milter"))
    parent, done = gateway.stack.supervisor.pid("milter"), threading.Event()
    sockets = gateway.stack.layout.sockets

    def watch() -> None:
        while not (killer.done or clients.stopping.is_set()):
            time.sleep(0.02)
        done.set()

    watching = threading.Thread(target=watch)
    with between(killer, sockets / "killer", sockets / "milter", grp.getgrnam("postfix").gr_gid):
        watching.start()
        run_clients(clients, done, 400)
        watching.join()
    assert len(killer.killed) == KILLS
    seen = {edits for _, edits in killer.killed}
    assert len(seen) >= len(EDITS) // 2, (
        seen
    )  # in the middle of the body, of the header fields, before the end
    assert clients.replies[4] >= KILLS
    check_sink(gateway, clients)
    assert gateway.stack.supervisor.pid("milter") == parent
    print(f"{KILLS} kills after {sorted(seen)} edits; replies {dict(clients.replies)}")


@pytest.mark.measurement
def test_workers_killed_at_any_moment_leave_no_half_edited_message_and_lose_none(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with Stack(tmp_path_factory.mktemp("killed"), tables={"milter": {"workers": WORKERS}}) as stack:
        gateway = Gateway(stack)
        clients = Clients(gateway, gateway.stack.provision.credential(ALL))
        done = threading.Event()

        def kill() -> None:
            for number in range(KILLS):
                wanted = len(clients.accepted) + 3
                while len(clients.accepted) < wanted and not clients.stopping.is_set():
                    time.sleep(random.Random(number).random() / 50)  # noqa: S311  # no secret is made here
                for pid in gateway.workers("milter")[:1]:
                    os.kill(pid, signal.SIGKILL)
            done.set()

        killing = threading.Thread(target=kill)
        killing.start()
        run_clients(clients, done, 240)
        killing.join()
        check_sink(gateway, clients)
        print(f"{KILLS} kills; replies {dict(clients.replies)}")
