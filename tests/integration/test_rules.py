"""Rules through a real Postfix: each at each stage at which it is asked, replies in full."""

from __future__ import annotations

import smtplib
from typing import Any

import pytest

from gatepost_stack.provision import ClientLogin
from tests.integration.harness import SENDER, Gateway, fresh_recipient, refusal, reply, text_message

AT_RCPT = "<{}>: Recipient address rejected: "
AT_DATA = "<DATA>: Data command rejected: "


def held(gateway: Gateway, **rules: Any) -> ClientLogin:
    login = gateway.stack.provision.credential()
    gateway.stack.provision.rule(login.username, **rules)
    return login


def answers(connection: smtplib.SMTP, recipients: list[str], sender: str = SENDER) -> list[str]:
    """Return what was answered to each recipient, and to the rest of the message if one was taken."""
    connection.mail(sender)
    found = [reply(connection.rcpt(one)) for one in recipients]
    if any(one.startswith("250") for one in found):
        try:
            found.append(reply(connection.data(text_message())))
        except smtplib.SMTPDataError as error:
            found.append(refusal(error))
    connection.rset()
    return found


def taken(found: list[str]) -> list[bool]:
    return [one.startswith("250") for one in found]


def test_only_allowed_recipients_are_taken_and_each_other_is_told_why(gateway: Gateway) -> None:
    login = held(gateway, recipients=("example.org",), denied_recipients=("boss@example.org",))
    user, good = login.username, fresh_recipient()
    with gateway.logged_in(login) as connection:
        found = answers(connection, ["bob@elsewhere.test", good, "Boss@example.org"])
    assert taken(found) == [False, True, False, True]
    assert found[0] == (
        f"550 5.7.1 {AT_RCPT.format('bob@elsewhere.test')}Recipient <bob@elsewhere.test> is not among those "
        f"that credential {user} may send to"
    )
    assert found[2] == (
        f"550 5.7.1 {AT_RCPT.format('Boss@example.org')}Recipient <Boss@example.org> is denied to credential "
        f"{user}, by its rule boss@example.org"
    )
    gateway.delivered(good)


@pytest.mark.parametrize(
    "recipient",
    [
        "bob%denied.test@localhost",
        "denied.test!bob@mail.example.test",
        '"bob@denied.test"@mail.example.test',
        "bob@DENIED.test.",
        "@denied.test,@mail.example.test:bob@denied.test",
        "bob%denied.test@denied.test",
    ],
)
def test_no_spelling_of_an_address_gets_round_a_denied_domain(gateway: Gateway, recipient: str) -> None:
    login = held(gateway, denied_recipients=("denied.test",))
    with gateway.logged_in(login) as connection:
        connection.mail(SENDER)
        answer = reply(connection.docmd("RCPT", f"TO:<{recipient}>"))
    assert answer[:3] in {"550", "501", "504"}, answer


def test_whom_postfix_takes_without_asking_is_refused_at_data_alone_and_at_the_end_beside_others(
    gateway: Gateway,
) -> None:
    """smtpd(8) asks nobody at RCPT about the sender of its own address probes."""
    login = held(gateway, recipients=("example.org",))
    good = fresh_recipient()
    with gateway.logged_in(login) as connection:
        probe = f"double-bounce@{(connection.ehlo_resp or b'').split()[0].decode()}"
        alone = answers(connection, [probe])
        beside = answers(connection, [probe, good])
    said = f"Recipient <{probe}> is not among those that credential {login.username} may send to"
    assert (taken(alone), alone[-1]) == ([True, False], f"550 5.7.1 {AT_DATA}{said}")
    assert (taken(beside), beside[-1]) == ([True, True, False], f"550 5.7.1 {said}")
    assert gateway.records(login.username) == []


def test_a_rule_counts_in_a_session_that_is_open(gateway: Gateway, login: ClientLogin) -> None:
    recipient = fresh_recipient()
    with gateway.logged_in(login) as connection:
        assert taken(answers(connection, [recipient])) == [True, True]
        gateway.stack.provision.rule(login.username, denied_recipients=("example.org",))
        assert taken(answers(connection, [recipient])) == [False]
        gateway.stack.provision.rule(login.username, denied_recipients=())
        assert taken(answers(connection, [recipient])) == [True, True]
