"""Daemons killed outright under load: clients see 4xx at worst, and each accepted message arrives, once."""

from __future__ import annotations

import smtplib
import threading
from collections import Counter
from collections.abc import Callable

import pytest

from gatepost_stack.provision import ClientLogin
from tests.integration.harness import SENDER, Gateway, fresh_recipient, reply
from tests.waiting import until

CLIENTS = 4
MESSAGES_A_SESSION = 5
HTML = (
    f"From: <{SENDER}>\r\nTo: <bob@example.org>\r\nSubject: load\r\nMIME-Version: 1.0\r\n"
    "Content-Type: text/html; charset=utf-8\r\n\r\n"
    "<html><head><style>p { color: red }</style></head><body><p>Hello</p>"
    '<a href="http://www.example.com/page">Read on</a></body></html>\r\n'
)


class Load:
    """Clients that log in, send a few messages, and begin again, until told to stop."""

    def __init__(self, gateway: Gateway, login: ClientLogin) -> None:
        self._gateway = gateway
        self._login = login
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._client) for _ in range(CLIENTS)]
        self.accepted: list[str] = []
        self.replies: Counter[str] = Counter()
        self.faults: list[str] = []

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, more: int, seconds: float = 30.0) -> None:
        """Wait until ``more`` messages were accepted from now on."""
        wanted = len(self.accepted) + more
        until(
            lambda: len(self.accepted) >= wanted,
            lambda: f"mail that gets through: {self.replies} {self.faults}",
            seconds,
        )

    def _client(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._gateway.logged_in(self._login) as connection:
                    for _ in range(MESSAGES_A_SESSION):
                        self._send(connection)
            except smtplib.SMTPResponseException as error:
                self._note(error.smtp_code, str(error.smtp_error))
            except (OSError, smtplib.SMTPException) as error:
                self.faults.append(repr(error))

    def _send(self, connection: smtplib.SMTP) -> None:
        recipient = fresh_recipient()
        for answer in (connection.mail(SENDER), connection.rcpt(recipient)):
            if answer[0] != 250:
                self._note(answer[0], reply(answer))
                connection.rset()
                return
        code, text = connection.data(HTML.encode())
        if code == 250:
            self.accepted.append(recipient)
        self._note(code, text.decode())

    def _note(self, code: int, text: str) -> None:
        self.replies[f"{code // 100}xx"] += 1
        if code // 100 not in (2, 4):
            self.faults.append(f"{code} {text}")


KILLS: dict[str, Callable[[Gateway, str], None]] = {
    "worker": Gateway.kill_worker,
    "parent": Gateway.kill_parent,
}


@pytest.mark.parametrize("who", KILLS)
@pytest.mark.parametrize("daemon", ["sasl", "policy", "milter"])
def test_a_killed_daemon_costs_no_accepted_message(gateway: Gateway, daemon: str, who: str) -> None:
    login = gateway.stack.provision.credential({"inlinecss": True, "trackclicks": True})
    with Load(gateway, login) as load:
        load.wait_for(20)
        KILLS[who](gateway, daemon)
        load.wait_for(20)
        KILLS[who](gateway, daemon)
        load.wait_for(40)
    assert load.faults == []
    gateway.delivered(load.accepted[-1])
    for recipient in load.accepted:
        message = gateway.delivered(recipient).message
        assert b'style="' in message, "not processed"
        assert b"click.example.test" in message, "not processed"
    times = Counter(recipient for item in gateway.all_delivered() for recipient in item.recipients)
    assert [recipient for recipient in load.accepted if times[recipient] != 1] == []
