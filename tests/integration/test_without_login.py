"""What comes in without a login: a bounce with a valid token on port 25, nothing else."""

from __future__ import annotations

import smtplib
import time

import pytest

from gatepost_core.domain import ids
from gatepost_core.keys import Keyring
from gatepost_core.keys.tokens import BounceTokens, Origin
from gatepost_stack.provision import BOUNCE_DOMAIN
from tests.integration.harness import PORTS, SENDER, Gateway, Port, fresh_recipient, reply, text_message

# What Postfix takes for the postmaster, whom it accepts without asking anybody.
PLAIN = ("<postmaster>", "<PostMaster>", '<"postmaster">', "postmaster", "<postmaster> NOTIFY=NEVER")
ODD = (
    '<"Post\\master">',
    "<post\\master>",
    "<@relay.example:postmaster>",
    "<(x)postmaster>",
    "(x) <postmaster>",
    "<postmaster(x)>",
    "< postmaster >",
    "<postmaster> ORCPT=rfc822;a@example.org",
)
# The sender of Postfix's own address probes is exempt too.
PROBE = "<double-bounce@{host}>"


def token(gateway: Gateway) -> str:
    """Return an address that a message had for its envelope sender."""
    keys = Keyring.load(gateway.stack.settings.keys.directory)
    origin = Origin(BOUNCE_DOMAIN, 1, ids.new(int(time.time() * 1000)))
    return f"{BounceTokens(keys).issue(origin)}@{BOUNCE_DOMAIN}"


def hostname(connection: smtplib.SMTP) -> str:
    """Return the name by which the server answers EHLO."""
    return (connection.ehlo_resp or b"").split()[0].decode()


def begin(connection: smtplib.SMTP) -> None:
    connection.rset()
    assert connection.mail("")[0] == 250


def assert_nothing_came_in(connection: smtplib.SMTP, path: str) -> None:
    """The path is refused at RCPT, or the message at DATA."""
    code, text = connection.docmd("RCPT", f"TO:{path}")
    if code == 250:
        code, text = connection.docmd("DATA")
        assert reply((code, text)).startswith("530 5.7.0"), path
        assert b"Authentication required" in text, path
    assert 500 <= code < 600, (path, code, text)


@pytest.mark.parametrize("tls", [True, False])
def test_port_25_takes_no_mail_for_the_postmaster_without_a_login(gateway: Gateway, tls: bool) -> None:
    for path in (*PLAIN, *ODD, PROBE):
        with gateway.connect("mx", tls=tls) as connection:
            begin(connection)
            assert_nothing_came_in(connection, path.format(host=hostname(connection)))


@pytest.mark.parametrize("role", ["submission", "submissions"])
def test_the_submission_ports_take_none_either(gateway: Gateway, role: Port) -> None:
    for path in (*PLAIN, *ODD, PROBE):
        with gateway.connect(role) as connection:
            begin(connection)
            assert_nothing_came_in(connection, path.format(host=hostname(connection)))


@pytest.mark.parametrize("role", PORTS)
@pytest.mark.parametrize("path", PLAIN)
def test_the_usual_spellings_are_told_at_rcpt_that_a_login_is_required(
    gateway: Gateway, role: Port, path: str
) -> None:
    with gateway.connect(role) as connection:
        begin(connection)
        answer = reply(connection.docmd("RCPT", f"TO:{path}"))
        assert answer.startswith("530 5.7.0 ")
        assert answer.endswith("Authentication required")


@pytest.mark.parametrize("path", [*PLAIN, *ODD, PROBE])
def test_a_valid_token_does_not_take_the_postmaster_along(gateway: Gateway, path: str) -> None:
    bounce = token(gateway)
    for first, second in (("token", "other"), ("other", "token")):
        with gateway.connect("mx") as connection:
            begin(connection)
            paths = {"token": f"<{bounce}>", "other": path.format(host=hostname(connection))}
            codes = [connection.docmd("RCPT", f"TO:{paths[name]}")[0] for name in (first, second)]
            if codes == [250, 250]:
                assert reply(connection.docmd("DATA")).startswith("530 5.7.0")
            else:
                assert codes[0 if first == "token" else 1] == 250


def test_bdat_is_held_to_the_same(gateway: Gateway) -> None:
    with gateway.connect("mx") as connection:
        begin(connection)
        assert connection.docmd("RCPT", "TO:<post\\master>")[0] == 250
        message = text_message()
        connection.send(f"BDAT {len(message)} LAST\r\n".encode() + message)
        assert reply(connection.getreply()).startswith("530 5.7.0")


def test_a_bounce_with_a_valid_token_comes_in(gateway: Gateway) -> None:
    bounce = token(gateway)
    for tls in (True, False):
        with gateway.connect("mx", tls=tls) as connection:
            begin(connection)
            assert connection.rcpt(bounce)[0] == 250
            assert connection.data(text_message())[0] == 250
    gateway.logged("bounces", f"(?s)(event=unread recipient={bounce}.*){{2}}")


def test_a_bounce_comes_in_beside_recipients_that_are_refused(gateway: Gateway) -> None:
    bounce = token(gateway)
    with gateway.connect("mx") as connection:
        begin(connection)
        for refused in ("bob@example.org", f"no-token@{BOUNCE_DOMAIN}", "postmaster"):
            assert connection.rcpt(refused)[0] == 530
        assert connection.rcpt(bounce)[0] == 250
        assert connection.rcpt("eve@example.org")[0] == 530
        assert connection.data(text_message())[0] == 250
    gateway.logged("bounces", f"event=unread recipient={bounce}")


def test_with_a_login_the_postmaster_gets_mail_and_the_sender_is_held_to_its_rules(gateway: Gateway) -> None:
    login = gateway.stack.provision.credential(senders=("example.test",))
    for path in ("<postmaster>", "<post\\master>"):
        with gateway.logged_in(login) as connection:
            connection.mail("mallory@elsewhere.test")
            code, text = connection.docmd("RCPT", f"TO:{path}")
            if code == 250:
                code, text = connection.docmd("DATA")
            assert code == 550, (path, text)
            assert b"mallory@elsewhere.test" in text
            connection.rset()
            connection.mail(SENDER)
            assert connection.docmd("RCPT", f"TO:{path}")[0] == 250
            assert connection.rcpt(fresh_recipient())[0] == 250
            assert connection.data(text_message())[0] == 250
