"""Scope ``ports``: submission beside a Postfix that has other work, which notices nothing of it."""

from __future__ import annotations

import re
import smtplib
import subprocess
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message

import pytest

from gatepost_core.postfix import Parameter, Service
from gatepost_stack.instance import HOST
from gatepost_stack.provision import Login
from gatepost_stack.stack import Stack
from tests.integration.harness import SENDER, Gateway, Port, fresh_recipient, refusal, text_message
from tests.integration.test_doctor import Doctor

# A main.cf made by hand: each of these would change or stop our mail, if it reached our ports.
HOUSE = {
    "compatibility_level": "2",
    "myhostname": "house.example.test",
    "enable_long_queue_ids": "no",
    "message_size_limit": "100000",
    "mailbox_size_limit": "100000",
    "header_checks": "regexp:{{/^Subject:/ PREPEND X-House: yes}}",
    "body_checks": "regexp:{{/forbidden by the house/ REJECT the house says no}}",
    "smtpd_milters": "inet:127.0.0.1:1",
    "milter_default_action": "accept",
    "milter_connect_timeout": "1s",
    "smtpd_client_restrictions": "check_client_access inline:{{127.0.0.1=OK}}",
    "smtpd_sender_restrictions": f"check_sender_access inline:{{{{{SENDER}=REJECT the house rejects}}}}",
    "smtpd_recipient_restrictions": "permit_mynetworks, reject",
    "smtpd_discard_ehlo_keywords": "auth, dsn",
    "smtpd_tls_security_level": "none",
    "smtpd_sasl_auth_enable": "no",
    "receive_override_options": "no_milters",
    "remote_header_rewrite_domain": "house.invalid",
    "milter_header_checks": "regexp:{{/^DKIM-Signature:/ IGNORE}}",
    "smtpd_tls_chain_files": "/nonexistent",
}
OUTSIDER = "carol@example.net"


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Postfix's own port 25, made by hand, and ports 587 and 465 added by Gatepost."""
    tables = {"postfix": {"scope": "ports", "ports": [587, 465], "hide_client_address": True}}
    house = [Parameter(name, value, "made by hand") for name, value in HOUSE.items()]
    port25 = [Service("smtp", "mx", (), "made by hand")]
    with Stack(tmp_path_factory.mktemp("beside"), tables=tables, extra=house, others=port25) as stack:
        yield Gateway(stack)


@pytest.fixture
def login(beside: Gateway) -> Login:
    return beside.stack.provision.credential({"dkim": True})


def send(beside: Gateway, login: Login, role: Port, message: bytes, recipient: str) -> None:
    with beside.logged_in(login, role) as connection:
        connection.sendmail(SENDER, [recipient], message)


def arrived(beside: Gateway, recipient: str) -> Message:
    return message_from_bytes(beside.delivered(recipient).message)


def queue_id(message: Message) -> str:
    (found,) = re.findall(r"\sid (\w+)", message.get_all("Received", [])[0])
    return str(found)


@pytest.mark.parametrize("role", ["submission", "submissions"])
def test_submission_works_whatever_main_cf_says_for_other_ports(
    beside: Gateway, login: Login, role: Port
) -> None:
    recipient = fresh_recipient()
    send(beside, login, role, text_message(body="forbidden by the house\r\n"), recipient)
    got = arrived(beside, recipient)
    assert got["DKIM-Signature"]
    assert got["Message-Id"]
    assert got["X-House"] is None
    assert got["To"] == "<bob@example.org>"


def test_a_message_may_be_larger_than_what_other_mail_may_have(beside: Gateway, login: Login) -> None:
    recipient = fresh_recipient()
    send(beside, login, "submission", text_message(body=("x" * 70 + "\r\n") * 3000), recipient)
    assert len(beside.delivered(recipient).message) > 200_000


def test_queue_ids_of_submitted_mail_are_long(beside: Gateway, login: Login) -> None:
    recipient = fresh_recipient()
    send(beside, login, "submission", text_message(), recipient)
    assert "z" in queue_id(arrived(beside, recipient))  # parts time from inode in long ids only


def test_the_client_s_address_is_not_in_our_received_line(beside: Gateway, login: Login) -> None:
    recipient = fresh_recipient()
    earlier = b"Received: from desk (desk [192.0.2.7]) by desk.example; Mon, 1 Jan 2024 00:00:00 +0000\r\n"
    send(beside, login, "submission", earlier + text_message(), recipient)
    ours, others = arrived(beside, recipient).get_all("Received", [])
    assert HOST not in ours
    assert ours.startswith("by mail.example.test (Postfix) with ESMTPSA id ")
    assert "192.0.2.7" in others


@pytest.mark.parametrize("role", ["submission", "submissions"])
def test_nobody_gets_in_without_a_login(beside: Gateway, role: Port) -> None:
    with beside.connect(role) as connection, pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        connection.sendmail(SENDER, ["someone@example.org"], text_message())
    assert refused.value.recipients["someone@example.org"][0] == 530


def test_the_host_s_own_port_25_is_as_before(beside: Gateway) -> None:
    recipient = fresh_recipient()
    with beside.connect("mx", tls=False) as connection:
        assert not connection.has_extn("auth")
        assert not connection.has_extn("starttls")
        assert connection.esmtp_features["size"] == "100000"
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            connection.sendmail(SENDER, [recipient], text_message())
        assert "the house rejects" in str(refused.value)
        connection.sendmail(OUTSIDER, [recipient], text_message(sender=OUTSIDER))
    assert_the_house_s_own(beside, recipient)


def test_port_25_keeps_its_own_checks_and_limit(beside: Gateway) -> None:
    with beside.connect("mx", tls=False) as connection:
        for body, code in (("forbidden by the house\r\n", 550), ("x" * 70 + "\r\n", 552)):
            message = text_message(sender=OUTSIDER, body=body if code == 550 else body * 2000)
            with pytest.raises(smtplib.SMTPResponseException) as refused:
                connection.sendmail(OUTSIDER, [fresh_recipient()], message)
            assert refusal(refused.value).startswith(str(code))


def test_mail_of_the_host_s_own_programs_is_as_before(beside: Gateway) -> None:
    recipient = fresh_recipient()
    command = ["/usr/sbin/sendmail", "-C", str(beside.stack.layout.postfix), "-f", OUTSIDER, recipient]
    subprocess.run(command, input=text_message(sender=OUTSIDER), check=True)
    assert_the_house_s_own(beside, recipient)


def assert_the_house_s_own(beside: Gateway, recipient: str) -> None:
    got = arrived(beside, recipient)
    identity = queue_id(got)
    assert got["X-House"] == "yes"
    assert got["DKIM-Signature"] is None
    assert "z" not in identity
    # One of Gatepost's own, sent after it, is in both logs by then.
    after = fresh_recipient()
    send(beside, beside.stack.provision.credential(), "submission", text_message(after), after)
    own = queue_id(arrived(beside, after))
    assert identity not in beside.logged("milter", own)
    assert identity not in beside.logged("policy", own)


def test_doctor_finds_nothing_to_mend_beside_other_work(beside: Gateway) -> None:
    result = Doctor(beside, "127.0.0.1:1")("--skip", "dns")
    assert [one for one in result["findings"] if one["status"] == "fault"] == []
    ports = {one["looked_at"].split(",")[0] for one in result["findings"] if one["check"] == "ports"}
    assert ports == {f"{HOST}:{beside.port('submission')}", f"{HOST}:{beside.port('submissions')}"}
