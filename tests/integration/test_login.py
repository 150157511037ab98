"""Logging in and sending: three ports, two mechanisms, three clients; and who is refused, in which words."""

from __future__ import annotations

import smtplib
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gatepost_stack.instance import HOST
from gatepost_stack.provision import ClientLogin
from tests.integration.harness import (
    MECHANISMS,
    PORTS,
    SENDER,
    Gateway,
    Mechanism,
    Port,
    fresh_recipient,
    refusal,
    reply,
    text_message,
)


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("role", PORTS)
def test_a_credential_sends_with_smtplib(
    gateway: Gateway, login: ClientLogin, role: Port, mechanism: Mechanism
) -> None:
    recipient = fresh_recipient()
    with gateway.logged_in(login, role, mechanism) as connection:
        assert connection.sendmail(SENDER, [recipient], text_message(f"{role} {mechanism}")) == {}
    item = gateway.delivered(recipient)
    assert item.sender == SENDER
    assert f"Subject: {role} {mechanism}\n".encode() in item.message


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("role", PORTS)
def test_a_credential_sends_with_swaks(
    gateway: Gateway, login: ClientLogin, role: Port, mechanism: Mechanism
) -> None:
    recipient = fresh_recipient()
    envelope = ("--from", SENDER, "--to", recipient)
    outcome = gateway.swaks(role, "--auth", mechanism, *envelope, login=login)
    assert outcome.status == 0, outcome.output
    gateway.delivered(recipient)


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("role", PORTS)
def test_a_credential_sends_with_curl(
    gateway: Gateway, login: ClientLogin, role: Port, mechanism: Mechanism, tmp_path: Path
) -> None:
    recipient = fresh_recipient()
    file = tmp_path / "message.eml"
    file.write_bytes(text_message())
    outcome = gateway.curl(role, login, mechanism, recipient, file)
    assert outcome.status == 0, outcome.output
    gateway.delivered(recipient)


@pytest.mark.parametrize("role", PORTS)
def test_without_a_login_the_reply_says_that_one_is_required(gateway: Gateway, role: Port) -> None:
    with gateway.connect(role) as connection:
        assert connection.mail(SENDER)[0] == 250
        answer = reply(connection.rcpt("bob@example.org"))
        # Postfix puts the recipient between a policy's codes and its text.
        assert answer.startswith("530 5.7.0 ")
        assert answer.endswith("Authentication required")


@pytest.mark.parametrize("role", ["mx", "submission"])
def test_auth_before_tls_is_neither_offered_nor_accepted(gateway: Gateway, role: Port) -> None:
    with gateway.connect(role, tls=False) as connection:
        assert not connection.has_extn("auth")
        assert connection.has_extn("starttls")
        code, text = connection.docmd("AUTH", "PLAIN AGEAYg==")
        assert code in (503, 530, 538), text


def test_mail_before_tls_is_refused_on_a_submission_port(gateway: Gateway) -> None:
    with gateway.connect("submission", tls=False) as connection:
        assert reply(connection.mail(SENDER)).startswith("530 5.7.0")


def test_mail_without_tls_is_refused_on_port_25(gateway: Gateway) -> None:
    with gateway.connect("mx", tls=False) as connection:
        connection.mail(SENDER)
        assert reply(connection.rcpt("bob@example.org")).startswith("530 5.7.0")


def test_swaks_without_a_login_prints_the_reason(gateway: Gateway) -> None:
    outcome = gateway.swaks("submission", "--from", SENDER, "--to", "bob@example.org")
    assert outcome.status != 0
    assert "Authentication required" in outcome.output
    assert "Access denied" not in outcome.output


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_wrong_unknown_and_disabled_are_answered_alike(gateway: Gateway, mechanism: Mechanism) -> None:
    provision = gateway.stack.provision
    known, disabled = provision.credential(), provision.credential()
    provision.disable(disabled.username)
    other = provision.credential()
    answers = {
        _failed_login(gateway, attempt, mechanism)
        for attempt in (
            ClientLogin(known.username, other.password),
            ClientLogin(known.username, "guess"),
            ClientLogin("nobody", other.password),
            disabled,
        )
    }
    assert len(answers) == 1
    assert answers.pop().startswith("535 5.7.8")


def _failed_login(gateway: Gateway, login: ClientLogin, mechanism: Mechanism) -> str:
    with (
        pytest.raises(smtplib.SMTPAuthenticationError) as caught,
        gateway.logged_in(login, "submission", mechanism),
    ):
        pass
    return refusal(caught.value)


def test_an_expired_credential_cannot_log_in(gateway: Gateway) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    login = gateway.stack.provision.credential(expires_at=yesterday)
    assert _failed_login(gateway, login, "PLAIN").startswith("535 5.7.8")


def test_a_sender_that_the_credential_may_not_use_is_refused_by_name(gateway: Gateway) -> None:
    login = gateway.stack.provision.credential(senders=("example.test",))
    with gateway.logged_in(login) as connection:
        connection.mail("mallory@elsewhere.test")
        answer = reply(connection.rcpt(fresh_recipient()))
        assert answer.startswith("550 5.7.1")
        assert "mallory@elsewhere.test" in answer
        connection.rset()
        recipient = fresh_recipient()
        connection.sendmail(SENDER, [recipient], text_message())
    gateway.delivered(recipient)


def test_the_null_sender_may_be_used_by_a_restricted_credential(gateway: Gateway) -> None:
    login = gateway.stack.provision.credential(senders=("example.test",))
    recipient = fresh_recipient()
    with gateway.logged_in(login) as connection:
        connection.sendmail("", [recipient], text_message())
    assert gateway.delivered(recipient).sender == ""


def test_a_from_header_that_the_credential_may_not_use_is_refused(gateway: Gateway) -> None:
    login = gateway.stack.provision.credential(senders=("example.test",))
    with gateway.logged_in(login) as connection:
        with pytest.raises(smtplib.SMTPDataError) as caught:
            connection.sendmail(SENDER, [fresh_recipient()], text_message(sender="ceo@elsewhere.test"))
        assert refusal(caught.value).startswith("550 5.7.1")
        assert "ceo@elsewhere.test" in refusal(caught.value)
        recipient = fresh_recipient()
        connection.sendmail(SENDER, [recipient], text_message())
    gateway.delivered(recipient)


def test_strangers_cannot_relay_and_cannot_mail_a_bounce_domain_without_a_token(gateway: Gateway) -> None:
    with gateway.connect("mx") as connection:
        connection.mail("stranger@elsewhere.test")
        for recipient in ("bob@example.org", "no-token@bounces.example.test", "info@example.test"):
            assert 500 <= connection.rcpt(recipient)[0] < 600


def test_a_smuggled_second_message_does_not_go_out(gateway: Gateway, login: ClientLogin) -> None:
    """A bare line feed around the dot ends nothing (CVE-2023-51764)."""
    recipient, smuggled = fresh_recipient(), fresh_recipient()
    envelope = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{smuggled}>\r\nDATA\r\n"
    second = envelope + text_message("smuggled").decode()
    with gateway.logged_in(login) as connection:
        connection.mail(SENDER)
        connection.rcpt(recipient)
        connection.docmd("DATA")
        connection.send(text_message("first") + b"\n.\n" + second.encode() + b"\r\n.\r\n")
        assert connection.getreply()[0] == 250
    item = gateway.delivered(recipient)
    assert b"smuggled" in item.message
    assert all(smuggled not in other.recipients for other in gateway.all_delivered())


def test_commands_sent_ahead_of_their_turn_end_the_session(gateway: Gateway) -> None:
    with socket.create_connection((HOST, gateway.port("submission")), timeout=30) as connection:
        connection.sendall(b"EHLO client.example.test\r\nMAIL FROM:<a@example.test>\r\nQUIT\r\n")
        received = b""
        while data := connection.recv(4096):
            received += data
    assert b"554 5.5.0" in received
    assert b"221 " not in received
