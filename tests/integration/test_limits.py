"""Limits through a real Postfix: exactly as many messages as a limit says, whatever is refused or cut off."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Sequence

import pytest

from gatepost_core.domain import Mode
from gatepost_stack.provision import ClientLogin
from tests.integration.harness import SENDER, Gateway, fresh_recipient, reply, text_message
from tests.waiting import until

WHEN = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def limited(gateway: Gateway, *limits: str, mode: Mode = Mode.LIVE) -> ClientLogin:
    login = gateway.stack.provision.credential(mode=mode)
    gateway.stack.provision.limit(login.username, *limits)
    return login


def answer(connection: smtplib.SMTP, recipients: Sequence[str] = (), data: bytes = b"") -> str:
    """Return how a message was answered, at RCPT, DATA or its end; '' when it was accepted."""
    connection.mail(SENDER)
    for recipient in recipients or [fresh_recipient()]:
        answered = connection.rcpt(recipient)
        if answered[0] != 250:
            connection.rset()
            return reply(answered)
    try:
        answered = connection.data(data or text_message())
    except smtplib.SMTPDataError as error:
        text = error.smtp_error
        answered = error.smtp_code, text if isinstance(text, bytes) else text.encode()
    connection.rset()
    return "" if answered[0] == 250 else reply(answered)


def ends(text: str, expected: str) -> None:
    """Hold an answer's own words against a pattern, whatever Postfix has put before them."""
    code, words = expected.split(" ", 1)[0], expected.split(" ", 1)[1]
    assert re.search(rf"^{code} \S+ (<.*>: \w+ \w+ rejected: )?{words}$", text), text


def test_as_many_messages_pass_as_the_limit_says_and_the_next_is_told_when_to_come_again(
    gateway: Gateway,
) -> None:
    login = limited(gateway, "3/month")
    said = f"Credential {login.username} is limited to 3 messages a month and has used 3; try again after"
    with gateway.logged_in(login) as connection:
        assert [answer(connection) for _ in range(3)] == ["", "", ""]
        ends(answer(connection), f"451 {said} {WHEN}")

        # The milter counts; policy has the counts a second later at the latest, and says it at RCPT.
        def at_recipient() -> bool:
            found = answer(connection)
            ends(found, f"451 {said} {WHEN}")
            return "Recipient address rejected" in found

        until(at_recipient, lambda: "policy to refuse at RCPT")
    assert len(gateway.records(login.username)) == 3


def test_what_is_larger_than_a_whole_limit_is_refused_for_good_and_takes_nothing(gateway: Gateway) -> None:
    login = limited(gateway, "recipients=3/month", "bytes=10K/month")
    user = login.username
    with gateway.logged_in(login) as connection:
        four = answer(connection, [fresh_recipient() for _ in range(4)])
        ends(
            four,
            f"550 Credential {user} is limited to 3 recipients a month, and this message has 4; "
            "send it in parts",
        )
        assert "<DATA>: Data command rejected" in four
        large = text_message(body="x" * 70 + "\r\n" + "y" * 70 + "\r\n" * 5_000)
        ends(
            answer(connection, data=large),
            rf"552 Credential {user} is limited to 10,000 bytes a month, and this message has 1\d,\d\d\d; "
            "send less at once",
        )
        assert answer(connection, [fresh_recipient() for _ in range(3)]) == ""
        ends(
            answer(connection),
            rf"451 Credential {user} is limited to 3 recipients .*; try again after {WHEN}",
        )


def test_a_refused_message_counts_nothing_whoever_refuses_it(gateway: Gateway) -> None:
    login = limited(gateway, "2/month")
    with gateway.logged_in(login) as connection:
        for _ in range(3):
            refused = answer(connection, data=b"X-Gatepost-TrackClicks: perhaps\r\n" + text_message())
            assert refused.startswith("550 5.6.0 X-Gatepost-TrackClicks"), refused
            connection.mail(SENDER)
            connection.rcpt(fresh_recipient())
            connection.rset()
        assert [answer(connection) for _ in range(2)] == ["", ""]
        assert answer(connection).startswith("451 4.7.1")


def test_a_full_limit_of_one_credential_is_nothing_to_another(gateway: Gateway) -> None:
    first, second = limited(gateway, "1/month"), limited(gateway, "1/month")
    with gateway.logged_in(first) as one, gateway.logged_in(second) as other:
        assert answer(one) == answer(other) == ""
        assert answer(one).startswith("451 4.7.1")


@pytest.mark.parametrize("mode", Mode)
def test_a_limit_is_told_of_at_80_and_100_per_cent(gateway: Gateway, mode: Mode) -> None:
    login = limited(gateway, "10/month", mode=mode)
    with gateway.logged_in(login) as connection:
        assert [answer(connection) for _ in range(10)] == [""] * 10
        assert answer(connection).startswith("451 4.7.1")
    log = gateway.logged("milter", rf"event=limit .*{login.username}.*share=100")
    told = re.findall(rf"event=limit .*{login.username}.*share=(\d+) used=(\d+) most=10", log)
    assert told == [("80", "8"), ("100", "10")]
