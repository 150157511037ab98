"""Behind HAProxy: the PROXY protocol brings the true client to guess limits, rules, record and doctor."""

from __future__ import annotations

import smtplib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gatepost_stack import client
from gatepost_stack.instance import HOST
from gatepost_stack.provision import ClientLogin
from gatepost_stack.stack import Stack, free_ports
from tests.cli.nameserver import nameserver
from tests.core.journals import use
from tests.integration.doctored import Doctor, zones
from tests.integration.harness import SENDER, Gateway, fresh_recipient, refusal, text_message
from tests.integration.holding import held
from tests.places import countries
from tests.waiting import until

GUESSER, CUSTOMER, STRANGER = "127.0.0.2", "127.0.0.3", "127.0.0.5"
CONFIGURATION = """\
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen submission
    bind {host}:{submission}
    server postfix {host}:{to_submission} send-proxy
listen submissions
    bind {host}:{submissions}
    server postfix {host}:{to_submissions} send-proxy-v2
"""


@dataclass(frozen=True)
class Balanced:
    """A gateway, and the ports of the load balancer in front of 587 and 465."""

    gateway: Gateway
    submission: int
    submissions: int

    @contextmanager
    def logged_in(self, login: ClientLogin, source: str, port: int) -> Iterator[smtplib.SMTP]:
        """Log in through the load balancer, from one of loopback's addresses."""
        tls: client.Tls = "wrapped" if port == self.submissions else "starttls"
        with client.session(HOST, port, tls, self.gateway.stack.layout.ca_file, source) as connection:
            client.log_in(connection, login.username, login.password)
            yield connection

    def attempt(self, login: ClientLogin, source: str, port: int) -> str:
        """Return the refusal of a login, empty for a success."""
        try:
            with self.logged_in(login, source, port):
                return ""
        except smtplib.SMTPAuthenticationError as error:
            return refusal(error)


@pytest.fixture(scope="module")
def balanced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Balanced]:
    """HAProxy in front of a gateway that locks out a network after three failures."""
    folder = tmp_path_factory.mktemp("balanced")
    tables: dict[str, dict[str, Any]] = {
        "postfix": {"proxy_ports": [587, 465]},
        "sasl": {"failure_delay": 0.01, "guess_network_limit": 3, "guess_shared_networks": []},
        "doctor": {"timeout": 5.0},
        "hold": {"country_database": str(countries(folder / "c.mmdb", NL=CUSTOMER, BR=STRANGER))},
    }
    submission, submissions, _ = free_ports()
    with Stack(folder / "stack", tables=tables) as stack:
        text = CONFIGURATION.format(
            host=HOST,
            submission=submission,
            submissions=submissions,
            to_submission=stack.ports[1],
            to_submissions=stack.ports[2],
        )
        with _haproxy(folder, text, submission):
            yield Balanced(Gateway(stack), submission, submissions)


@contextmanager
def _haproxy(folder: Path, text: str, port: int) -> Iterator[None]:
    file = folder / "haproxy.cfg"
    file.write_text(text)
    process = subprocess.Popen(["/usr/sbin/haproxy", "-db", "-f", str(file)])
    try:
        until(lambda: process.poll() is not None or _greets(port), "a greeting through HAProxy")
        assert process.poll() is None
        yield
    finally:
        process.terminate()
        process.wait(10)


def _greets(port: int) -> bool:
    with suppress(OSError, smtplib.SMTPException), smtplib.SMTP(HOST, port, timeout=5):
        return True
    return False


@pytest.mark.parametrize("role", ["submission", "submissions"])
def test_a_guesser_locks_out_nobody_else_behind_the_same_load_balancer(balanced: Balanced, role: str) -> None:
    port = balanced.submission if role == "submission" else balanced.submissions
    login = balanced.gateway.stack.provision.credential()
    guesser = GUESSER if role == "submission" else "127.0.0.4"
    for _ in range(3):
        assert balanced.attempt(ClientLogin(login.username, "guess"), guesser, port)
    assert balanced.attempt(login, guesser, port)  # locked out, whoever's name he uses
    recipient = fresh_recipient()
    with balanced.logged_in(login, CUSTOMER, port) as connection:
        connection.sendmail(SENDER, [recipient], text_message())
    assert f"[{CUSTOMER}]" in balanced.gateway.delivered(recipient).message.decode()
    balanced.gateway.logged("sasl", f"result=granted user={login.username} ip={CUSTOMER} ")


def test_mail_from_a_new_country_is_held_by_the_clients_own_address(balanced: Balanced) -> None:
    login = balanced.gateway.stack.provision.credential()
    balanced.gateway.stack.provision.rule(login.username, hold_places=("country",))
    recipient = fresh_recipient()
    for source, port in ((CUSTOMER, balanced.submission), (STRANGER, balanced.submissions)):
        with balanced.logged_in(login, source, port) as connection:
            connection.sendmail(SENDER, [recipient], text_message())
    said = f"new country BR, client {STRANGER}; it has sent from NL"
    until(lambda: list(held(balanced.gateway, login).values()) == [said], "the second message to be held")


def test_doctor_speaks_first_where_a_load_balancer_would(balanced: Balanced, tmp_path: Path) -> None:
    with nameserver(tmp_path / "dns", zones(balanced.gateway.stack)) as resolver:
        doctor = Doctor(balanced.gateway, resolver)
        assert doctor.faults("--only", "ports", "--only", "probe") == []


def test_doctor_notes_an_address_that_carries_most_logins(balanced: Balanced) -> None:
    doctor = Doctor(balanced.gateway, "127.0.0.1")
    journal, now = balanced.gateway.stack.settings.store.journal, datetime.now(UTC)
    use(journal, range(1000, 1012), "198.51.100.7", now)
    use(journal, range(2000, 2020), "203.0.113.9", now - timedelta(days=30))
    (found,) = doctor("--only", "clients")["findings"]
    assert found["status"] == "note"
    assert "from 198.51.100.7" in found["found"]
    assert "postfix.proxy_ports" in found["advice"]
    overrides = ("sasl.guess_shared_networks=198.51.100.0/24",)
    (found,) = doctor("--only", "clients", "--all", overrides=overrides)["findings"]
    assert found["status"] == "good"
