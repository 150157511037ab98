"""While gatepost-sasl is away its socket stays bound: clients wait, and Postfix never holds a port back."""

from __future__ import annotations

import smtplib
import subprocess
import threading
import time

from gatepost_stack.provision import ClientLogin
from tests.integration.harness import Gateway


def test_a_client_that_connects_while_the_daemon_is_stopped_is_greeted_and_logged_in(
    gateway: Gateway, login: ClientLogin
) -> None:
    supervisor = gateway.stack.supervisor
    # A fresh smtpd has no connection to the daemon yet: those that have served must not be used.
    subprocess.run(
        ["/usr/sbin/postfix", "-c", str(gateway.stack.layout.postfix), "reload"],
        check=True,
        capture_output=True,
    )
    supervisor.hold("sasl")
    greeted: list[float] = []
    began = time.monotonic()

    def client() -> None:
        with gateway.logged_in(login, "submission") as connection:
            assert connection.noop()[0] == 250
            greeted.append(time.monotonic() - began)

    thread = threading.Thread(target=client)
    thread.start()
    with smtplib.SMTP("127.0.0.1", gateway.port("submission"), timeout=10) as connection:
        assert connection.noop()[0] == 250  # before STARTTLS nobody asks the daemon
    assert not greeted
    supervisor.release("sasl")
    thread.join(60)
    assert greeted
    assert greeted[0] < 45  # a service that master(8) throttles rests for a minute
    assert "throttling" not in gateway.log("postfix")


def test_logins_go_on_through_ten_restarts(gateway: Gateway, login: ClientLogin) -> None:
    for _ in range(10):
        gateway.stack.supervisor.hold("sasl")
        gateway.stack.supervisor.release("sasl")
        with gateway.logged_in(login) as connection:
            assert connection.noop()[0] == 250
    assert "throttling" not in gateway.log("postfix")
