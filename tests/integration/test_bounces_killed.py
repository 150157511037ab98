"""A report that was answered with 250 is on disk, and one that was not comes again, whoever is killed.

Sessions send reports over LMTP as Postfix does: again until 250. The daemon's workers and its parent are
killed (SIGKILL) all the while; sessions send some of the reports twice, as a lost answer would have it.
"""

from __future__ import annotations

import itertools
import os
import signal
import smtplib
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost_core.store import events
from gatepost_stack.provision import ClientLogin
from gatepost_stack.stack import Stack
from tests.bounces.forms import MTA, failed, report
from tests.integration.harness import SENDER, Gateway, fresh_recipient, text_message
from tests.waiting import until

RECIPIENTS = 50
SESSIONS = 4


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway of its own: its daemon is killed."""
    with Stack(tmp_path_factory.mktemp("killed")) as stack:
        yield Gateway(stack)


class Sessions:
    """``answered``: which reports were answered with 250, by address and recipient, and how often."""

    def __init__(self, own: Gateway, work: list[tuple[str, str]]) -> None:
        self._path = own.stack.settings.bounces.listen.removeprefix("unix:")
        self._work = itertools.cycle(work)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.answered = Counter[tuple[str, str]]()
        self.lost = 0
        self._threads = [threading.Thread(target=self._run) for _ in range(SESSIONS)]

    def __enter__(self) -> Sessions:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for one in self._threads:
            one.join()

    def _run(self) -> None:
        while not self._over.is_set():
            with self._lock:
                one = next(self._work)
            while not self._sent(*one):
                self.lost += 1

    def _sent(self, address: str, recipient: str) -> bool:
        try:
            with smtplib.LMTP(self._path) as connection:
                connection.sendmail("", [address], report(MTA, failed(recipient)))
        except (OSError, smtplib.SMTPException):
            return False
        with self._lock:
            self.answered[address, recipient] += 1
        return True


def addresses(own: Gateway, login: ClientLogin, recipients: list[str]) -> str:
    """Send a message to recipients; return the address to which its bounces go."""
    with own.logged_in(login) as connection:
        connection.sendmail(SENDER, recipients, text_message())
    return own.delivered(recipients[0]).sender


def killed(own: Gateway, times: int) -> None:
    login = own.stack.provision.credential({"trackbounces": True})
    work: list[tuple[str, str]] = []
    for _ in range(4):
        recipients = [fresh_recipient() for _ in range(RECIPIENTS)]
        address = addresses(own, login, recipients)
        work += [(address, one) for one in recipients]
    with Sessions(own, work) as sessions:
        for number in range(times):
            before = sessions.answered.total()
            until(lambda before=before: sessions.answered.total() > before + 5, "more reports", 60)  # type: ignore[misc]
            workers = own.workers("bounces")
            if number % 4 == 3 or not workers:
                own.kill_parent("bounces")
            else:
                os.kill(workers[0], signal.SIGKILL)
        until(lambda: len(sessions.answered) == len(work), "each report answered once at least", 120)
    assert sessions.lost, "nobody was in the middle of a report: the kills told nothing"
    own.caught_up()
    with own.journal() as journal:
        wanted = events.Wanted(credential=login.username)
        found = [one for one in events.each(journal, wanted, 10_000) if one.type == "bounced"]
    assert Counter(one.recipient for one in found) == dict.fromkeys((one for _, one in work), 1)
    folder: Path = own.stack.settings.bounces.directory
    assert all((folder / str(one.detail["report"])).is_file() for one in found)


def test_whoever_is_killed_no_report_is_lost_or_counted_twice(own: Gateway) -> None:
    killed(own, 8)


@pytest.mark.measurement
@pytest.mark.timeout(3600)
def test_a_hundred_kills_lose_and_double_no_report(own: Gateway) -> None:
    killed(own, 100)
