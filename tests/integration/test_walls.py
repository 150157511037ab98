"""Accounts are walls, through a real Postfix: nobody sends in the name of another account's domain."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Iterator

import pytest

from gatepost_core.domain import WallMode
from gatepost_stack.provision import BOUNCE_DOMAIN, ClientLogin
from tests.integration.harness import SENDER, Gateway, fresh_recipient, refusal, reply

RIVAL = "rival.test"
OTHERS = "of a domain that another account registered"


@pytest.fixture(scope="module")
def rival(gateway: Gateway) -> str:
    """A domain of another account than the logins of these tests have."""
    gateway.stack.provision.owner("rival", RIVAL)
    return RIVAL


@pytest.fixture
def reporting(gateway: Gateway) -> Iterator[None]:
    """Walls that only report, as in a store of an earlier release."""
    gateway.stack.provision.walls(WallMode.REPORT)
    yield
    gateway.stack.provision.walls(WallMode.ENFORCE)


def message(*fields: str) -> bytes:
    header = "\r\n".join([*fields, "To: <bob@example.org>", "Subject: Hello"])
    return f"{header}\r\n\r\nHello.\r\n".encode()


def answered(gateway: Gateway, login: ClientLogin, sender: str, content: bytes) -> str:
    """Return the refusal of a message; empty when it was taken, and then it has arrived."""
    recipient = fresh_recipient()
    with gateway.logged_in(login) as connection:
        try:
            connection.sendmail(sender, [recipient], content)
        except smtplib.SMTPRecipientsRefused as error:
            return reply(error.recipients[recipient])
        except smtplib.SMTPResponseException as error:
            return refusal(error)
    gateway.delivered(recipient)
    return ""


@pytest.mark.parametrize("senders", [(), (RIVAL, "*.rival.test", "example.test")], ids=["free", "held"])
@pytest.mark.parametrize(
    "domain", [RIVAL, "sub.rival.test", "bounces.rival.test", "click.rival.test", "RIVAL.Test"]
)
@pytest.mark.usefixtures("rival")
def test_another_accounts_domain_is_refused_in_the_envelope(
    gateway: Gateway, domain: str, senders: tuple[str, ...]
) -> None:
    login = gateway.stack.provision.credential(senders=senders)
    said = answered(gateway, login, f"boss@{domain}", message(f"From: <{SENDER}>"))
    assert said.startswith("550 5.7.1")
    assert OTHERS in said


@pytest.mark.parametrize(
    "fields",
    [
        [f"From: Boss <boss@{RIVAL}>"],
        [f"From: <{SENDER}>, <boss@{RIVAL}>"],
        [f"From: <{SENDER}>", f"From: <boss@{RIVAL}>"],
        [f"From: <{SENDER}>", f"Sender: <boss@{RIVAL}>"],
        [f"From: <{SENDER}>", f"Sender: <boss@bounces.{RIVAL}>"],
        [f"From: <boss@news.sub.{RIVAL}>"],
        [f"From: <boss@bounces.{RIVAL}>"],
        [f'From: "<boss@{RIVAL}>" <{SENDER}>'],
        [f"From: <{SENDER}>", f"From: Boss <boss@{RIVAL}"],
    ],
)
@pytest.mark.parametrize("features", [{}, {"dkim": True, "trackbounces": True}], ids=["plain", "features"])
@pytest.mark.usefixtures("rival")
def test_another_accounts_domain_is_refused_in_every_from_and_sender(
    gateway: Gateway, fields: list[str], features: dict[str, bool]
) -> None:
    login = gateway.stack.provision.credential(features=features)
    said = answered(gateway, login, SENDER, message(*fields))
    assert said.startswith("550 5.7.1")
    assert OTHERS in said


@pytest.mark.parametrize("domain", ["mail.example.test", "below.mail.example.test"])
def test_the_gateways_own_name_is_nobodys(gateway: Gateway, login: ClientLogin, domain: str) -> None:
    own = "of the gateway's own domain"
    assert own in answered(gateway, login, f"root@{domain}", message(f"From: <{SENDER}>"))
    assert own in answered(gateway, login, SENDER, message(f"From: <root@{domain}>"))


def test_an_envelope_sender_without_a_domain_gets_the_gateways_own(
    gateway: Gateway, login: ClientLogin
) -> None:
    assert "of the gateway's own domain" in answered(gateway, login, "root", message(f"From: <{SENDER}>"))


@pytest.mark.parametrize(
    ("sender", "fields"),
    [
        (SENDER, [f"From: <{SENDER}>", "Sender: <news@sub.example.test>"]),
        (f"x@{BOUNCE_DOMAIN}", [f"From: <{SENDER}>"]),
        ("a@nobody.test", ["From: <a@nobody.test>", "Sender: <b@elsewhere.test>"]),
        ("", [f"From: <{SENDER}>"]),
        (SENDER, [f'From: "Boss at {RIVAL}" <{SENDER}>']),
    ],
    ids=["own", "own bounce domain", "unregistered", "null sender", "a name alone"],
)
@pytest.mark.usefixtures("rival")
def test_what_is_ones_own_or_nobodys_passes(
    gateway: Gateway, login: ClientLogin, sender: str, fields: list[str]
) -> None:
    assert answered(gateway, login, sender, message(*fields)) == ""


@pytest.mark.usefixtures("rival")
def test_bounce_addresses_work_on(gateway: Gateway) -> None:
    """The milter's own envelope sender is of the account's bounce domain."""
    login = gateway.stack.provision.credential(features={"trackbounces": True})
    recipient = fresh_recipient()
    with gateway.logged_in(login) as connection:
        connection.sendmail(SENDER, [recipient], message(f"From: <{SENDER}>"))
    assert gateway.delivered(recipient).sender.endswith(f"@{BOUNCE_DOMAIN}")


def test_a_grant_counts_in_a_session_that_is_open_and_so_does_its_end(
    gateway: Gateway, login: ClientLogin, rival: str
) -> None:
    boss, content = f"boss@{rival}", message(f"From: <boss@{rival}>")
    recipients = [fresh_recipient() for _ in range(3)]
    with gateway.logged_in(login) as connection:
        connection.mail(boss)
        assert connection.rcpt(recipients[0])[0] == 550
        connection.rset()
        gateway.stack.provision.grant(rival)
        connection.sendmail(boss, [recipients[1]], content)
        gateway.stack.provision.revoke(rival)
        connection.mail(boss)
        assert connection.rcpt(recipients[2])[0] == 550
    gateway.delivered(recipients[1])


def test_a_domain_that_was_granted_signs(gateway: Gateway, rival: str) -> None:
    login = gateway.stack.provision.credential(features={"dkim": True})
    recipient = fresh_recipient()
    gateway.stack.provision.grant(rival)
    with gateway.logged_in(login) as connection:
        connection.sendmail(f"boss@{rival}", [recipient], message(f"From: <boss@{rival}>"))
    gateway.stack.provision.revoke(rival)
    assert f"d={rival};".encode() in gateway.delivered(recipient).message


def test_where_walls_only_report_such_mail_passes_and_the_log_tells(
    gateway: Gateway, login: ClientLogin, rival: str, reporting: None
) -> None:
    del reporting
    assert answered(gateway, login, f"boss@{rival}", message(f"From: <boss@{rival}>")) == ""
    user = re.escape(login.username)
    told = rf"walls only report; would be refused: 550 5\.7\.1 Sender address <boss@{rival}>.*user={user}"
    gateway.logged("policy", told)
    gateway.logged("milter", rf"walls: would be refused: {rival} is another account's.*credential={user}")
