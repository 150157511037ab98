"""A disabled credential stops at once, also in a session that is open; others go on."""

from __future__ import annotations

import smtplib

import pytest

from gatepost_stack.provision import ClientLogin
from tests.integration.harness import SENDER, Gateway, fresh_recipient, refusal, reply, text_message


def test_an_open_session_is_refused_at_its_next_recipient(gateway: Gateway, login: ClientLogin) -> None:
    with gateway.logged_in(login) as connection:
        connection.sendmail(SENDER, [fresh_recipient()], text_message())
        gateway.stack.provision.disable(login.username)
        connection.mail(SENDER)
        answer = reply(connection.rcpt(fresh_recipient()))
        assert answer.startswith("550 5.7.1")
        assert "disabled" in answer


def test_an_open_session_past_its_recipients_is_refused_at_data(gateway: Gateway, login: ClientLogin) -> None:
    with gateway.logged_in(login) as connection:
        connection.mail(SENDER)
        assert connection.rcpt(fresh_recipient())[0] == 250
        gateway.stack.provision.disable(login.username)
        with pytest.raises(smtplib.SMTPDataError) as caught:
            connection.data(text_message())
        assert refusal(caught.value).startswith("550 5.7.1")


def test_an_open_session_in_data_is_refused_at_end_of_message(gateway: Gateway, login: ClientLogin) -> None:
    recipient = fresh_recipient()
    with gateway.logged_in(login) as connection:
        connection.mail(SENDER)
        connection.rcpt(recipient)
        assert connection.docmd("DATA")[0] == 354
        gateway.stack.provision.disable(login.username)
        connection.send(text_message() + b".\r\n")
        assert reply(connection.getreply()).startswith("550 5.7.1")
        # The transaction is over: another begins like any other.
        gateway.stack.provision.enable(login.username)
        second = fresh_recipient()
        connection.sendmail(SENDER, [second], text_message())
    gateway.delivered(second)
    assert all(recipient not in item.recipients for item in gateway.all_delivered())


def test_other_sessions_go_on_and_an_enabled_credential_sends_again(
    gateway: Gateway, login: ClientLogin
) -> None:
    other = gateway.stack.provision.credential()
    with gateway.logged_in(login) as connection, gateway.logged_in(other) as others:
        gateway.stack.provision.disable(login.username)
        recipients = [fresh_recipient() for _ in range(3)]
        others.sendmail(SENDER, [recipients[0]], text_message())
        connection.mail(SENDER)
        assert connection.rcpt(recipients[1])[0] == 550
        connection.rset()
        gateway.stack.provision.enable(login.username)
        connection.sendmail(SENDER, [recipients[2]], text_message())
    gateway.delivered(recipients[0])
    gateway.delivered(recipients[2])
