"""A session ends with what its login was good for: the password, the credential itself, the networks."""

from __future__ import annotations

import smtplib
from collections.abc import Callable
from datetime import timedelta
from typing import Literal

import pytest

from gatepost_stack.provision import ClientLogin
from tests.integration.harness import SENDER, Gateway, fresh_recipient, refusal, reply, text_message

Change = Callable[[Gateway, ClientLogin], object]
Stage = Literal["RCPT", "DATA", "end of message"]
STAGES: tuple[Stage, ...] = ("RCPT", "DATA", "end of message")


def rotated(gateway: Gateway, login: ClientLogin) -> ClientLogin:
    return gateway.stack.provision.rotate_password(login.username, timedelta())


def made_anew(gateway: Gateway, login: ClientLogin) -> ClientLogin:
    """Hand the name to somebody else, who so gets the row's old number as well."""
    gateway.stack.provision.remove(login.username)
    return gateway.stack.provision.credential(username=login.username)


def restricted(gateway: Gateway, login: ClientLogin) -> None:
    gateway.stack.provision.restrict(login.username, ("192.0.2.0/24",))


CHANGES: tuple[tuple[Change, str], ...] = (
    (rotated, "was changed after this session had logged in; log in again"),
    (made_anew, "was made anew after this session had logged in; log in again"),
    (restricted, "may not be used from 127.0.0.1; log in again"),
)


def refused(connection: smtplib.SMTP, stage: Stage, change: Callable[[], object], recipient: str) -> str:
    """Send a message, with the change just before a stage; return the reply there."""
    connection.mail(SENDER)
    if stage == "RCPT":
        change()
        return reply(connection.rcpt(recipient))
    assert connection.rcpt(recipient)[0] == 250
    if stage == "DATA":
        change()
        return reply(connection.docmd("DATA"))
    assert connection.docmd("DATA")[0] == 354
    change()
    connection.send(text_message() + b".\r\n")
    return reply(connection.getreply())


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(("change", "text"), CHANGES)
def test_an_open_session_is_refused_at_its_next_step_and_told_to_log_in_again(
    gateway: Gateway, login: ClientLogin, stage: Stage, change: Change, text: str
) -> None:
    recipient = fresh_recipient()
    with gateway.logged_in(login) as connection:
        connection.sendmail(SENDER, [fresh_recipient()], text_message())
        answer = refused(connection, stage, lambda: change(gateway, login), recipient)
        assert answer.startswith("550 5.7.1")
        assert text in answer
        # So is the next message of that session, and nothing of the refused one is left behind.
        connection.rset()
        connection.mail(SENDER)
        assert reply(connection.rcpt(recipient)).startswith("550 5.7.1")
    assert all(recipient not in item.recipients for item in gateway.all_delivered())


@pytest.mark.parametrize("change", [rotated, made_anew])
def test_who_logs_in_again_sends_at_once_also_on_the_same_smtpd(
    gateway: Gateway, login: ClientLogin, change: Callable[[Gateway, ClientLogin], ClientLogin]
) -> None:
    with gateway.logged_in(login) as connection:
        assert connection.noop()[0] == 250
    again = change(gateway, login)
    recipient = fresh_recipient()
    with gateway.logged_in(again) as connection:
        connection.sendmail(SENDER, [recipient], text_message())
    gateway.delivered(recipient)
    with pytest.raises(smtplib.SMTPAuthenticationError) as caught, gateway.logged_in(login):
        pass
    assert refusal(caught.value).startswith("535")


def test_both_passwords_sessions_go_on_through_an_overlap(gateway: Gateway, login: ClientLogin) -> None:
    with gateway.logged_in(login) as old:
        new = gateway.stack.provision.rotate_password(login.username, timedelta(hours=1))
        with gateway.logged_in(new) as young:
            for connection in (old, young):
                recipient = fresh_recipient()
                connection.sendmail(SENDER, [recipient], text_message())
                gateway.delivered(recipient)
            # A third password: the first one is over, and with it its session; the second one's is not.
            gateway.stack.provision.rotate_password(login.username, timedelta(hours=1))
            old.mail(SENDER)
            assert "log in again" in reply(old.rcpt(fresh_recipient()))
            young.sendmail(SENDER, [fresh_recipient()], text_message())


def test_a_session_from_before_a_restart_of_the_daemons_is_refused_as_well(
    gateway: Gateway, login: ClientLogin
) -> None:
    with gateway.logged_in(login) as connection:
        for daemon in ("sasl", "policy"):
            gateway.kill_parent(daemon)
        connection.sendmail(SENDER, [fresh_recipient()], text_message())
        rotated(gateway, login)
        connection.mail(SENDER)
        assert "log in again" in reply(connection.rcpt(fresh_recipient()))


def test_mail_goes_on_without_the_notes_of_logins_and_a_log_line_says_so(
    gateway: Gateway, login: ClientLogin
) -> None:
    notes = gateway.stack.settings.sasl.logins_file
    with gateway.logged_in(login) as connection:
        notes.unlink()
        notes.mkdir()
        try:
            gateway.kill_parent("policy")
            connection.sendmail(SENDER, [fresh_recipient()], text_message())
            gateway.logged("policy", "the login of a session is not known")
            gateway.kill_parent("sasl")
            with gateway.logged_in(login) as other:
                other.sendmail(SENDER, [fresh_recipient()], text_message())
            gateway.logged("sasl", "logins cannot be noted")
        finally:
            notes.rmdir()
    gateway.kill_parent("sasl")
    with gateway.logged_in(login) as connection:
        rotated(gateway, login)
        connection.mail(SENDER)
        assert "log in again" in reply(connection.rcpt(fresh_recipient()))
