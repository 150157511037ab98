"""Scope ``ports``: submission beside a Postfix that has other work, which notices nothing of it."""

from __future__ import annotations

import json
import re
import smtplib
import subprocess
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message

import pytest

from gatepost_core.postfix import Parameter, Service
from gatepost_stack.instance import HOST
from gatepost_stack.provision import ClientLogin
from gatepost_stack.stack import Stack
from tests.integration.doctored import Doctor
from tests.integration.harness import SENDER, Gateway, Port, fresh_recipient, refusal, text_message

# A main.cf made by hand: each of these would change or stop our mail, if it reached our ports.
HOUSE = {
    "compatibility_level": "2",
    "myhostname": "house.example.test",
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
    "smtpd_tls_cert_file": "/nonexistent",
    "smtpd_tls_key_file": "/nonexistent",
    # As postsrsd has it, and habits of others.
    "sender_canonical_maps": "static:srs0@house.example.test",
    "sender_canonical_classes": "envelope_sender, header_sender",
    "canonical_maps": f"inline:{{{{{SENDER}=other@house.example.test}}}}",
    "masquerade_domains": "test",
    "local_header_rewrite_clients": "static:all",
    "message_reject_characters": "\\0",
    "message_strip_characters": "l",
    "message_drop_headers": "subject",
    "undisclosed_recipients_header": "To: nobody:;",
    "header_size_limit": "1000",
    "strict_7bit_headers": "yes",
    "strict_8bitmime_body": "yes",
    "strict_rfc821_envelopes": "yes",
    "soft_bounce": "yes",
    "notify_classes": "policy, protocol, resource",
    "smtpd_reject_unlisted_sender": "yes",
    "smtpd_reject_footer": "Ask the house.",
    "smtpd_client_event_limit_exceptions": "",
    "smtpd_recipient_limit": "1",
    "smtpd_hard_error_limit": "1",
    "smtpd_error_sleep_time": "0",
    **{
        f"smtpd_client_{what}_rate_limit": "1"
        for what in ("connection", "message", "recipient", "new_tls_session")
    },
}
# What the tests themselves want of the house's own port 25.
HOUSE_PORT = {
    "soft_bounce": "no",
    "smtpd_hard_error_limit": "20",
    "smtpd_reject_footer": "",
    "smtpd_client_event_limit_exceptions": "127.0.0.0/8",
    "smtpd_reject_unlisted_sender": "no",
    "notify_classes": "",
}
OUTSIDER = "carol@example.net"


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Postfix's own port 25, made by hand, and ports 587 and 465 added by Gatepost."""
    tables = {"postfix": {"scope": "ports", "ports": [587, 465], "hide_client_address": True}}
    house = [Parameter(name, value, "made by hand") for name, value in HOUSE.items()]
    options = tuple(Parameter(name, value, "made by hand") for name, value in HOUSE_PORT.items())
    port25 = [Service("smtp", "mx", options, "made by hand")]
    with Stack(tmp_path_factory.mktemp("beside"), tables=tables, extra=house, others=port25) as stack:
        yield Gateway(stack)


@pytest.fixture
def login(beside: Gateway) -> ClientLogin:
    return beside.stack.provision.credential({"dkim": True})


def send(beside: Gateway, login: ClientLogin, role: Port, message: bytes, recipient: str) -> None:
    with beside.logged_in(login, role) as connection:
        connection.sendmail(SENDER, [recipient], message)


def arrived(beside: Gateway, recipient: str) -> Message:
    return message_from_bytes(beside.delivered(recipient).message)


def queue_id(message: Message) -> str:
    (found,) = re.findall(r"\sid (\w+)", message.get_all("Received", [])[0])
    return str(found)


@pytest.mark.parametrize("role", ["submission", "submissions"])
def test_submission_works_whatever_main_cf_says_for_other_ports(
    beside: Gateway, login: ClientLogin, role: Port
) -> None:
    recipient = fresh_recipient()
    send(beside, login, role, text_message(body="forbidden by the house\r\n"), recipient)
    got = arrived(beside, recipient)
    assert got["DKIM-Signature"]
    assert got["Message-Id"]
    assert got["X-House"] is None
    assert got["To"] == "<bob@example.org>"
    assert got["Subject"] == "Hello"
    assert got["From"] == f"<{SENDER}>"
    assert beside.delivered(recipient).sender == SENDER


def test_limits_made_for_strangers_do_not_hold_customers_up(beside: Gateway, login: ClientLogin) -> None:
    recipients = [fresh_recipient() for _ in range(3)]
    odd = b"X-Long: " + b"x" * 900 + b"\r\n y\r\nX-Eight: \xfc\r\n" + text_message(body="nul \0\r\n")
    for recipient in recipients:  # a session each: one a minute is what main.cf lets pass
        with beside.logged_in(login) as connection:
            for wrong in ("no-domain", "neither"):
                assert connection.docmd("RCPT", f"TO:<{wrong}>")[0] == 503
            connection.sendmail(SENDER, [recipient, fresh_recipient()], odd)
    assert [len(str(arrived(beside, one)["X-Long"])) > 900 for one in recipients] == [True] * 3


def test_a_refusal_of_ours_is_for_good_and_the_house_adds_nothing(
    beside: Gateway, login: ClientLogin
) -> None:
    with beside.logged_in(login) as connection:
        connection.docmd("MAIL", f"FROM:<{SENDER}>")
        code, text = connection.docmd("RCPT", "TO:<root>")
    assert (code, text) == (
        504,
        b"5.5.2 <root>: Recipient address rejected: need fully-qualified address",
    )


@pytest.mark.parametrize("role", ["submission", "submissions"])
def test_nobody_starts_a_queue_run_by_etrn(beside: Gateway, login: ClientLogin, role: Port) -> None:
    with beside.connect(role) as connection:
        assert not connection.has_extn("etrn")
        assert connection.docmd("ETRN", "example.org")[0] == 554
    with beside.logged_in(login, role) as connection:
        assert connection.docmd("ETRN", "example.org")[0] == 554


def test_no_line_of_the_log_tells_of_certificates_that_are_not_ours(
    beside: Gateway, login: ClientLogin
) -> None:
    send(beside, login, "submission", text_message(), fresh_recipient())
    assert "legacy" not in beside.logged("postfix", "postfix/gatepost")


def test_a_message_may_be_larger_than_what_other_mail_may_have(beside: Gateway, login: ClientLogin) -> None:
    recipient = fresh_recipient()
    send(beside, login, "submission", text_message(body=("x" * 70 + "\r\n") * 3000), recipient)
    assert len(beside.delivered(recipient).message) > 200_000


def test_queue_ids_of_submitted_mail_are_long(beside: Gateway, login: ClientLogin) -> None:
    recipient = fresh_recipient()
    send(beside, login, "submission", text_message(), recipient)
    assert "z" in queue_id(arrived(beside, recipient))  # parts time from inode in long ids only


def test_the_client_s_address_is_not_in_our_received_line(beside: Gateway, login: ClientLogin) -> None:
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
    assert beside.delivered(recipient).sender == "srs0@test"
    assert got["DKIM-Signature"] is None
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


def test_what_waits_in_the_queue_keeps_its_name_so_that_records_match_the_log(
    beside: Gateway, login: ClientLogin
) -> None:
    recipient = fresh_recipient()
    command(beside, "postconf", "-e", "defer_transports = smtp")
    command(beside, "postfix", "reload")
    send(beside, login, "submission", text_message(), recipient)
    before = waiting(beside, recipient)
    command(beside, "postsuper", "-s")  # as each start of Postfix does
    assert waiting(beside, recipient) == before
    command(beside, "postconf", "-e", "defer_transports =")
    command(beside, "postfix", "reload")
    beside.stack.postfix.flush()
    assert queue_id(arrived(beside, recipient)) == before


def command(beside: Gateway, program: str, *words: str) -> None:
    where = ["-c", str(beside.stack.layout.postfix)]
    subprocess.run([f"/usr/sbin/{program}", *where, *words], check=True, capture_output=True)


def waiting(beside: Gateway, recipient: str) -> str:
    """Return the queue id of the message to ``recipient``."""
    words = ["/usr/sbin/postqueue", "-c", str(beside.stack.layout.postfix), "-j"]
    listed = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    rows = [json.loads(line) for line in listed.splitlines()]
    (found,) = [row["queue_id"] for row in rows if row["recipients"][0]["address"] == recipient]
    return str(found)
