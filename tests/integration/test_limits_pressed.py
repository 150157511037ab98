"""A hundred sessions press twice as many messages as a limit has, some of them cut off in the midst.

The plain run presses a tenth of what is promised: ``GATEPOST_PRESSED=10000`` presses all of it.
"""

from __future__ import annotations

import os
import signal
import smtplib
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest

from gatepost_core.domain.outcomes import NOT_QUEUED
from gatepost_core.postfix import Parameter
from gatepost_stack.provision import ClientLogin
from gatepost_stack.stack import Stack
from tests.integration.harness import SENDER, Gateway, fresh_recipient, text_message
from tests.integration.test_limits import limited
from tests.integration.test_limits_returned import usage

PRESSED = int(os.environ.get("GATEPOST_PRESSED", "1000"))
SESSIONS = 100
KILLS = PRESSED // 200
MESSAGE = text_message()


@pytest.fixture(scope="module")
def pressed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that lets one address have many sessions."""
    free = {"smtpd_client_connection_count_limit": "0", "smtpd_client_auth_rate_limit": "0"}
    extra = [Parameter(name, value, "a hundred sessions of one host") for name, value in free.items()]
    with Stack(tmp_path_factory.mktemp("pressed"), extra=extra) as stack:
        yield Gateway(stack)


class Session:
    """One client, which connects again when it was cut off. ``answers`` counts how its messages ended."""

    def __init__(self, gateway: Gateway, login: ClientLogin) -> None:
        self._gateway = gateway
        self._login = login
        self._exits = ExitStack()
        self._connection: smtplib.SMTP | None = None
        self.answers = Counter[str]()

    def press(self, messages: int) -> None:
        """Send so many messages, and more until a limit refuses one."""
        number = 0
        while number < messages or not self.answers["limit"]:
            number += 1
            try:
                self.answers[self._send(number)] += 1
            except (smtplib.SMTPException, OSError) as error:
                refused = isinstance(error, smtplib.SMTPDataError) and b"is limited to" in _text(error)
                self.answers["limit" if refused else "cut off"] += 1
                if not isinstance(error, smtplib.SMTPDataError):
                    self._reset()
        self._reset()

    def _send(self, number: int) -> str:
        if self._connection is None:
            self._connection = self._exits.enter_context(self._gateway.logged_in(self._login))
        connection = self._connection
        connection.rset()
        connection.mail(SENDER)
        code, text = connection.rcpt(fresh_recipient())
        if code != 250:
            return "limit" if b"is limited to" in text else "refused"
        if number % 10 == 3:
            self._reset()
            return "reset"
        if number % 10 == 6:
            connection.putcmd("data")
            connection.getreply()
            connection.send(MESSAGE[:-5])
            self._reset()
            return "reset"
        code, text = connection.data(MESSAGE)
        if code == 250:
            return "accepted"
        return "limit" if b"is limited to" in text else "refused"

    def _reset(self) -> None:
        """Cut the connection off, as a network does (RST)."""
        connection, self._connection = self._connection, None
        if connection is not None and connection.sock is not None:
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sock.close()
        with suppress(smtplib.SMTPException, OSError):
            self._exits.close()


def _text(error: smtplib.SMTPDataError) -> bytes:
    return error.smtp_error if isinstance(error.smtp_error, bytes) else error.smtp_error.encode()


def press(gateway: Gateway, login: ClientLogin) -> Counter[str]:
    sessions = [Session(gateway, login) for _ in range(SESSIONS)]
    with ThreadPoolExecutor(SESSIONS) as pool:
        list(pool.map(lambda one: one.press(PRESSED // SESSIONS), sessions))
    return sum((one.answers for one in sessions), Counter[str]())


def test_exactly_as_many_are_accepted_as_the_limit_has(pressed: Gateway) -> None:
    most = PRESSED // 2
    login = limited(pressed, f"{most}/month", f"recipients={most}/month:sliding")
    answers = press(pressed, login)
    assert answers["accepted"] == most, answers
    assert answers["reset"] > 0
    assert len(pressed.records(login.username, limit=2 * PRESSED)) == most
    assert usage(pressed, login.username) == [most, most]


def test_never_more_are_accepted_though_milter_and_policy_are_killed_meanwhile(pressed: Gateway) -> None:
    """Short by at most those that were in flight; what Postfix asks again changes nothing."""
    most = PRESSED // 2
    login = limited(pressed, f"{most}/month")
    over, killed = threading.Event(), Counter[str]()

    def kill() -> None:
        while killed["milter"] < KILLS and not over.wait(0.2):
            for daemon in ("milter", "policy", "events"):
                with suppress(ProcessLookupError, IndexError, FileNotFoundError):
                    os.kill(pressed.workers(daemon)[0], signal.SIGKILL)
                    killed[daemon] += 1

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        answers = press(pressed, login)
    finally:
        over.set()
        killer.join()
    assert killed["milter"] >= min(KILLS, 3)
    # Of those whose milter died after their record, Postfix refused some, and they were given back.
    records = pressed.records(login.username, limit=3 * PRESSED)
    queued = sum(one.status != NOT_QUEUED for one in records)
    assert answers["accepted"] <= queued <= most, Counter(one.status for one in records)
    assert most - answers["accepted"] <= killed["milter"] * SESSIONS
    (counted,) = usage(pressed, login.username)
    assert counted <= most
