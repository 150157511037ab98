"""SCRAM-SHA-256 through a real Postfix, with gsasl and with a Python client of its own."""

from __future__ import annotations

import base64
import smtplib
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from scramp import ScramClient

from gatepost_core.keys import Keyring, passwords
from gatepost_core.store import credentials
from gatepost_core.store.sqlite.engine import open_engine
from gatepost_stack.instance import HOST
from gatepost_stack.provision import ClientLogin
from gatepost_stack.stack import Stack
from tests.integration.harness import Gateway, refusal

MECHANISM = "SCRAM-SHA-256"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that offers SCRAM-SHA-256 beside the others, and delays refusals little."""
    sasl = {"mechanisms": ["PLAIN", "LOGIN", MECHANISM], "failure_delay": 0.05}
    with Stack(tmp_path_factory.mktemp("scram"), milter=False, tables={"sasl": sasl}) as stack:
        yield Gateway(stack)


def gsasl(gateway: Gateway, login: ClientLogin, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["gsasl", "--client", "--smtp", "--connect", f"{HOST}:{gateway.port('submission')}"]
    command += ["--starttls", "--x509-ca-file", gateway.ca_file, "--hostname", "localhost"]
    command += ["--mechanism", MECHANISM, "--no-cb", "--authentication-id", login.username]
    command += ["--password", login.password, *options]
    return subprocess.run(command, input="", capture_output=True, text=True, timeout=60, check=False)


def exchange(connection: smtplib.SMTP, login: ClientLogin) -> tuple[int, bytes]:
    """Log in as a client does that checks the server's signature; return the last reply."""
    client = ScramClient([MECHANISM], login.username, login.password)
    code, reply = command(connection, f"AUTH {MECHANISM} ", client.get_client_first())
    assert code == 334
    client.set_server_first(base64.b64decode(reply).decode())
    code, reply = command(connection, "", client.get_client_final())
    if code != 334:
        return code, reply
    client.set_server_final(base64.b64decode(reply).decode())
    return connection.docmd("")


def command(connection: smtplib.SMTP, verb: str, message: str) -> tuple[int, bytes]:
    return connection.docmd(verb + base64.b64encode(message.encode()).decode())


def test_scram_is_offered_only_where_it_is_configured(gateway: Gateway) -> None:
    with gateway.connect("submission") as connection:
        assert MECHANISM in connection.esmtp_features["auth"].split()


def test_gsasl_logs_in(gateway: Gateway) -> None:
    login = gateway.stack.provision.credential()
    done = gsasl(gateway, login)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "235 2.7.0 Authentication successful" in done.stdout


def test_gsasl_is_refused_with_535_for_a_wrong_password(gateway: Gateway) -> None:
    login = gateway.stack.provision.credential()
    done = gsasl(gateway, ClientLogin(login.username, "guess"))
    assert done.returncode != 0
    assert "535 5.7.8" in done.stdout + done.stderr


def test_gsasl_may_not_act_for_somebody_else(gateway: Gateway) -> None:
    login = gateway.stack.provision.credential()
    done = gsasl(gateway, login, "--authorization-id", "somebody")
    assert done.returncode != 0
    assert "no authorization identity" in done.stdout + done.stderr


def test_a_client_that_checks_the_server_logs_in_and_sends(gateway: Gateway) -> None:
    login = gateway.stack.provision.credential()
    with gateway.connect("submission") as connection:
        assert exchange(connection, login)[0] == 235
        assert connection.mail("alice@example.test")[0] == 250
        assert connection.rcpt("bob@example.org")[0] == 250


def test_several_logins_on_one_kept_connection_to_the_daemon_do_not_mix(gateway: Gateway) -> None:
    login = gateway.stack.provision.credential()
    with gateway.connect("submission") as connection:
        assert exchange(connection, ClientLogin(login.username, "guess"))[0] == 535
        assert command(connection, f"AUTH {MECHANISM} ", "n,,n=x,r=abc")[0] == 334
        assert connection.docmd("*")[0] == 501
        assert exchange(connection, login)[0] == 235


def test_unknown_wrong_and_disabled_are_answered_alike(gateway: Gateway) -> None:
    provision = gateway.stack.provision
    known, disabled = provision.credential(), provision.credential()
    provision.disable(disabled.username)
    attempts = (ClientLogin(known.username, "guess"), ClientLogin("nobody.at.all", known.password), disabled)
    replies = set()
    for attempt in attempts:
        with gateway.connect("submission") as connection:
            replies.add(exchange(connection, attempt))
    assert len(replies) == 1
    assert replies.pop()[0] == 535


def test_both_passwords_work_during_a_rotation_s_overlap(gateway: Gateway) -> None:
    provision, settings = gateway.stack.provision, gateway.stack.settings
    login = provision.credential()
    password, now = passwords.new_password(), datetime.now(UTC)
    engine = open_engine(settings.store.url)
    with engine.begin() as connection:
        (before,) = credentials.get(connection, login.username).secrets
        keyring = Keyring.load(settings.keys.directory)
        derived = passwords.derive(keyring, password, before.scram_salt)
        credentials.rotate(connection, login.username, derived, now, now.replace(year=now.year + 1))
    engine.dispose()
    for attempt in (login, ClientLogin(login.username, password)):
        assert gsasl(gateway, attempt).returncode == 0


def test_plain_still_works_beside_it(gateway: Gateway) -> None:
    login = gateway.stack.provision.credential()
    with gateway.logged_in(login) as connection:
        assert connection.noop()[0] == 250
    with (
        pytest.raises(smtplib.SMTPAuthenticationError) as caught,
        gateway.logged_in(ClientLogin(login.username, "guess")),
    ):
        pass
    assert refusal(caught.value).startswith("535 5.7.8")
