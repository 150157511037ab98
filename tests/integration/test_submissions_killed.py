"""Milters that are killed while they have a message with an idempotency key: each message is there once.

Whoever is killed before its record is on disk leaves a claim, which is over after five minutes: here at once.
Whoever is killed after it leaves a message of which only Postfix's log tells that it was not queued.
"""

from __future__ import annotations

import grp
import smtplib
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count

import pytest

from gatepost_core.postfix import Parameter
from gatepost_stack.stack import Stack
from tests.integration.harness import Gateway, fresh_recipient
from tests.integration.holding import in_queue
from tests.integration.killer import Killer, between
from tests.integration.test_submissions import claims_file, keyed, submit, until_taken
from tests.waiting import until

KILLS = 18  # the seventeenth comes before any edit
CLIENTS = 4
WORKERS = 6


@pytest.fixture
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose Postfix reaches the milter through a go-between."""
    extra = [Parameter("smtpd_milters", "unix:gatepost/killer", "test")]
    tables = {"milter": {"workers": WORKERS}}
    with Stack(tmp_path_factory.mktemp("killed"), extra=extra, tables=tables) as stack:
        yield Gateway(stack)


def test_each_message_is_there_once_whenever_its_milter_is_killed(killed: Gateway) -> None:
    gateway = killed
    login = gateway.stack.provision.credential()
    killer = Killer(KILLS, lambda: gateway.workers("milter"))
    sockets, over, numbers = gateway.stack.layout.sockets, threading.Event(), count()
    sent: dict[str, bytes] = {}
    heard: Counter[int] = Counter()

    def age() -> None:
        with closing(sqlite3.connect(claims_file(gateway), timeout=30)) as claims:
            while not over.wait(0.3):
                claims.execute("UPDATE claims SET at = at - 300 WHERE state = 0")
                claims.commit()

    def client() -> None:
        while not killer.done:
            recipient, data = fresh_recipient(), keyed(f"killed-{next(numbers)}")
            sent[recipient] = data

            def taken(recipient: str = recipient, data: bytes = data) -> bool:
                try:
                    code, text = submit(gateway, login, data, [recipient])
                except smtplib.SMTPResponseException as error:  # at STARTTLS, smtpd asks its milter, too
                    code, text = error.smtp_code, str(error)
                assert code in (250, 451, 454), text
                heard[code] += 1
                return code == 250

            until(taken, lambda: gateway.log("milter")[-2_000:], 60, every=0.1)

    with between(killer, sockets / "killer", sockets / "milter", grp.getgrnam("postfix").gr_gid):
        until_taken(gateway, login, keyed("first"), [fresh_recipient()])
        aging = threading.Thread(target=age)
        aging.start()
        try:
            with ThreadPoolExecutor(CLIENTS) as pool:
                for one in [pool.submit(client) for _ in range(CLIENTS)]:
                    one.result()
        finally:
            over.set()
            aging.join()
        for recipient, data in list(sent.items())[:10]:
            until_taken(gateway, login, data, [recipient])
    until(lambda: not in_queue(gateway), "an empty queue")
    arrived = Counter(address for item in gateway.all_delivered() for address in item.recipients)
    assert {arrived[recipient] for recipient in sent} == {1}, heard
    assert {edits > 0 for _, edits in killer.killed} == {True, False}
    assert heard[451] + heard[454] >= KILLS
