"""Reports that are forwarded to the envelope senders of messages: through real Postfixes, there and back."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message

import pytest

from gatepost_core.domain import State
from gatepost_core.store import accounts, credentials
from gatepost_core.store.ingest.forwards import of_message
from gatepost_core.store.opening import open_backend
from gatepost_events.forwarding.posting import Post, _Client
from gatepost_stack.delivery import Delivered
from gatepost_stack.provision import ACCOUNT, ClientLogin
from gatepost_stack.returns import DOMAIN
from gatepost_stack.stack import Stack
from tests.bounces.forms import MTA, failed, report
from tests.integration.harness import Gateway, fresh_recipient, text_message
from tests.waiting import until

BOUNCES = "bounces.example.test"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway of its own, whose account has reports forwarded."""
    with Stack(tmp_path_factory.mktemp("forwarding")) as stack:
        backend = open_backend(stack.settings.store)
        with backend.directory(write=True) as connection:
            accounts.change(connection, ACCOUNT, bounces="forward")
        yield Gateway(stack)


@pytest.fixture
def login(own: Gateway) -> ClientLogin:
    return own.stack.provision.credential({"trackbounces": True})


def author() -> str:
    """Return an envelope sender that no other test has."""
    return fresh_recipient().replace("@example.org", "@example.test")


def send(
    own: Gateway,
    login: ClientLogin,
    sender: str,
    recipient: str,
    asks: tuple[str, ...] = (),
    of: tuple[str, ...] = (),
) -> None:
    with own.logged_in(login) as connection:
        connection.sendmail(sender, [recipient], text_message(), list(asks), list(of))


def arrived(own: Gateway, sender: str, number: int = 1) -> list[Delivered]:
    """Wait for so many messages at a sender's mailbox."""

    def look() -> list[Delivered] | None:
        found = [one for one in own.all_delivered() if sender in one.recipients]
        return found if len(found) >= number else None

    return until(
        look, lambda: f"nothing at {sender}; {own.log('events')[-3_000:]}\n{own.log('postfix')[-3_000:]}"
    )


def settled(own: Gateway, number: str, most: int = 1) -> list[tuple[str, str]]:
    """Wait until nothing of a message waits any more; return states and notes."""

    def look() -> list[tuple[str, str]] | None:
        with own.journal() as journal:
            found = of_message(journal, number)
        return (
            [one[1:] for one in found]
            if len(found) >= most and all(one[1] != "open" for one in found)
            else None
        )

    return until(look, lambda: own.log("events")[-3_000:])


def parts(one: Delivered) -> tuple[Message, dict[str, Message]]:
    whole = message_from_bytes(one.message)
    return whole, {part.get_content_type(): part for part in whole.walk()}


def bounce(own: Gateway, address: str, raw: bytes) -> None:
    with own.connect("mx", tls=False) as connection:
        connection.sendmail("", [address], raw)


def test_a_bounce_of_another_host_reaches_the_client_s_own_address_once(
    own: Gateway, login: ClientLogin
) -> None:
    sender = author()
    send(own, login, sender, f"hard@{DOMAIN}")
    (found,) = arrived(own, sender)
    assert (found.sender, found.recipients) == ("", (sender,))
    whole, inside = parts(found)
    assert whole["To"] == f"<{sender}>"
    assert whole["Auto-Submitted"] == "auto-replied"
    assert whole["From"] == f"Mail Delivery System <MAILER-DAEMON@{BOUNCES}>"
    assert whole.get_param("report-type") == "delivery-status"
    record = own.records(login.username)[0]
    assert f"message={record.id};" in whole["Gatepost-Report"]
    assert f"hard@{DOMAIN}" in str(inside["message/delivery-status"])
    assert f"@{BOUNCES}".encode() not in found.message.lower().replace(b"mailer-daemon@", b"")
    assert settled(own, record.id) == [("sent", settled(own, record.id)[0][1])]
    assert len(arrived(own, sender)) == 1


def test_a_client_that_asks_for_success_gets_its_report_with_what_it_asked_by(
    own: Gateway, login: ClientLogin
) -> None:
    sender, recipient = author(), fresh_recipient()
    send(
        own, login, sender, recipient, ("RET=HDRS", "ENVID=QQ+2B314"),
        ("NOTIFY=SUCCESS,FAILURE", f"ORCPT=rfc822;was.{recipient}"),
    )  # fmt: skip
    (found,) = arrived(own, sender)
    whole, inside = parts(found)
    status = str(inside["message/delivery-status"])
    assert "Action: relayed" in status  # the next hop knows no DSN, so Postfix itself reports (RFC 3461)
    assert "Original-Envelope-Id: QQ+314" in status
    assert f"Original-Recipient: rfc822;was.{recipient}" in status
    assert "text/rfc822-headers" in inside  # RET=HDRS
    assert f"Return-Path: <{sender}>" in str(inside["text/rfc822-headers"])
    assert whole["To"] == f"<{sender}>"


def test_a_client_that_asks_for_nothing_gets_nothing_of_a_success(own: Gateway, login: ClientLogin) -> None:
    sender, recipient = author(), fresh_recipient()
    send(own, login, sender, recipient)
    own.delivered(recipient)
    own.caught_up()
    with own.journal() as journal:
        assert of_message(journal, own.records(login.username)[0].id) == []


def test_what_returns_a_forwarded_report_stops_and_so_does_a_flood(own: Gateway, login: ClientLogin) -> None:
    sender, recipient = author(), fresh_recipient()
    send(own, login, sender, recipient)
    address = own.delivered(recipient).sender
    number = own.records(login.username)[0].id
    here = own.stack.settings.postfix.hostname
    loop = f"--b\nContent-Type: text/rfc822-headers\n\nGatepost-Report: x; message=y; by={here}\n"
    bounce(own, address, report(MTA, failed(recipient), extra=loop))
    assert settled(own, number) == [("stopped", "it is about a report that was forwarded here")]
    for turn in range(8):
        bounce(own, address, report(MTA, failed(recipient), extra=f"{turn}\n"))
    own.logged("bounces", rf"(?s)(event=told[^\n]*message={number}.*){{9}}")
    own.caught_up()
    # Of one recipient: a delay, an end, and two beside.
    found = settled(own, number, 9)
    assert [state for state, _ in found].count("sent") == 4
    assert sum("as many were sent" in note for _, note in found) == 4
    assert len(arrived(own, sender, 4)) == 4


def test_nothing_goes_to_whom_a_disabled_credential_wrote_as(own: Gateway, login: ClientLogin) -> None:
    sender, recipient = author(), fresh_recipient()
    send(own, login, sender, recipient)
    address = own.delivered(recipient).sender
    number = own.records(login.username)[0].id
    with open_backend(own.stack.settings.store).directory(write=True) as connection:
        credentials.change(connection, login.username, state=State.DISABLED)
    bounce(own, address, report(MTA, failed(recipient)))
    assert [(state, "disabled" in note) for state, note in settled(own, number)] == [("stopped", True)]


def test_nothing_goes_to_a_bounce_domain(own: Gateway, login: ClientLogin) -> None:
    recipient = fresh_recipient()
    send(own, login, author(), recipient)
    circle, again = own.delivered(recipient).sender, fresh_recipient()
    send(own, login, circle, again)
    bounce(own, own.delivered(again).sender, report(MTA, failed(again)))
    found = settled(own, own.records(login.username)[0].id)
    assert [(state, "bounce domain" in note) for state, note in found] == [("stopped", True)]


@contextmanager
def without_postfix(own: Gateway) -> Iterator[None]:
    own.stack.postfix.stop()
    try:
        yield
    finally:
        own.stack.postfix.start()


def test_a_report_waits_for_postfix_and_outlives_the_daemon(own: Gateway, login: ClientLogin) -> None:
    sender, recipient = author(), fresh_recipient()
    send(own, login, sender, recipient)
    address = own.delivered(recipient).sender
    number = own.records(login.username)[0].id
    starts = own.stack.supervisor.starts("events")
    own.stack.supervisor.hold("events")
    bounce(own, address, report(MTA, failed(recipient)))
    own.logged("bounces", rf"event=told[^\n]*message={number}")
    with without_postfix(own):
        own.stack.supervisor.release("events")
        own.logged("events", "cannot be followed for reports that are forwarded")
        os.kill(own.workers("events")[0], signal.SIGKILL)
        os.kill(own.stack.supervisor.pid("events"), signal.SIGKILL)
        own.stack.supervisor.wait_ready("events", starts + 2)
        with own.journal() as journal:
            assert [one[1] for one in of_message(journal, number)] == ["open"]
    assert [one[0] for one in settled(own, number)] == ["sent"]
    assert len(arrived(own, sender)) == 1


def test_the_service_takes_the_null_sender_alone(own: Gateway) -> None:
    socket = own.stack.layout.queue / "public" / "gatepost-forward"
    post = Post(socket)
    post.open()
    post.close()
    client = _Client(local_hostname="test")
    client.connect(str(socket))
    client.ehlo()
    assert client.docmd("MAIL FROM:<eve@example.org>")[0] == 250
    code, said = client.docmd("RCPT TO:<bob@example.org>")
    assert code == 554, said
    client.quit()
