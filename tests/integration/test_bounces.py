"""What comes back: bounces, delays, replies and complaints find their message, through Postfix and back."""

from __future__ import annotations

import os
import re
import smtplib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gatepost_core.store import events
from gatepost_stack.provision import BOUNCE_DOMAIN, ClientLogin
from gatepost_stack.returns import DOMAIN
from gatepost_stack.stack import Stack
from tests.bounces.forms import MTA, complaint, failed, plain, report
from tests.integration.harness import SENDER, Gateway, fresh_recipient, text_message
from tests.waiting import until


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway of its own: its daemon is held."""
    with Stack(tmp_path_factory.mktemp("bounces")) as stack:
        yield Gateway(stack)


@pytest.fixture
def login(own: Gateway) -> ClientLogin:
    """A credential whose messages have bounce addresses."""
    return own.stack.provision.credential({"trackbounces": True})


def send(own: Gateway, login: ClientLogin, recipient: str) -> None:
    with own.logged_in(login) as connection:
        connection.sendmail(SENDER, [recipient], text_message())


def told(own: Gateway, login: ClientLogin) -> list[dict[str, Any]]:
    """Return the events that something told which came back to a credential's messages."""
    own.caught_up()
    with own.journal() as journal:
        found = list(events.each(journal, events.Wanted(credential=login.username), 100))
        return [
            {"type": one.type, "recipient": one.recipient, "message": one.message, **one.detail}
            for one in found
            if "report" in one.detail
        ]


def address(own: Gateway, login: ClientLogin) -> str:
    """Send a message; return the address to which its bounces go."""
    recipient = fresh_recipient()
    send(own, login, recipient)
    return own.delivered(recipient).sender


def come_back(own: Gateway, recipient: str, raw: bytes, sender: str = "") -> None:
    """Send something to port 25 without a login, as another host does."""
    with own.connect("mx", tls=False) as connection:
        connection.sendmail(sender, [recipient], raw)


def arrived(own: Gateway, login: ClientLogin, wanted: Callable[[list[dict[str, Any]]], bool]) -> list[Any]:
    def look() -> list[Any] | None:
        found = told(own, login)
        return found if wanted(found) else None

    return until(look, lambda: f"{told(own, login)}; {own.log('bounces')[-2_000:]}")


@pytest.mark.parametrize(
    ("who", "type_", "expected"),
    [
        ("hard", "bounced", {"class": "mailbox", "permanent": True, "status": "5.1.1"}),
        ("soft", "deferred", {"status": "4.3.0"}),
        ("complain", "complaint", {"proof": "verp", "feedback_type": "abuse"}),
    ],
)
def test_what_a_host_reports_is_an_event_of_its_message_and_recipient(
    own: Gateway, login: ClientLogin, who: str, type_: str, expected: dict[str, Any]
) -> None:
    send(own, login, f"{who}@{DOMAIN}")
    (found,) = arrived(own, login, bool)
    assert (found["type"], found["recipient"]) == (type_, f"{who}@{DOMAIN}")
    assert found.items() >= expected.items()
    assert found["message"] == own.records(login.username)[0].id
    kept = own.stack.settings.bounces.directory / found["report"]
    assert f"{who}@{DOMAIN}".encode() in kept.read_bytes()


def test_an_automatic_reply_is_a_response_and_no_bounce(own: Gateway, login: ClientLogin) -> None:
    send(own, login, f"reply@{DOMAIN}")
    (found,) = arrived(own, login, bool)
    assert (found["type"], found["kind"]) == ("response", "auto-reply")
    assert found["subject"].startswith("Out of office")


def test_the_same_bounce_twice_is_one_event_and_what_nobody_understands_is_shown(
    own: Gateway, login: ClientLogin
) -> None:
    to = address(own, login)
    for text in ("", "once more\n"):
        come_back(own, to, report(MTA, failed("bob@example.org"), extra=text))
    come_back(own, to, plain("Hm", "neither this nor that"))
    arrived(own, login, lambda found: any(one.get("kind") == "unread" for one in found))
    own.logged("bounces", r"(?s)(event=told.*){2}")
    assert sorted(one["type"] for one in told(own, login)) == ["bounced", "response"]


def test_what_came_back_is_kept_to_the_byte_lines_with_dots_as_well(own: Gateway, login: ClientLogin) -> None:
    body = "..\r\n.hidden\r\n" + "x" * 900 + ".\r\n. \r\n"
    come_back(own, address(own, login), plain("Hm", body).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    (found,) = arrived(own, login, bool)
    kept = own.stack.settings.bounces.directory / found["report"]
    assert kept.read_bytes().endswith(f"\r\n\r\n{body}\r\n".encode())


def test_a_complaint_without_proof_is_taken_and_counts_for_nothing(own: Gateway, login: ClientLogin) -> None:
    to = address(own, login)
    come_back(
        own, f"fbl@{BOUNCE_DOMAIN}", complaint("Original-Rcpt-To: <bob@example.org>"), "f@provider.test"
    )
    own.logged("bounces", "proves no message of ours")
    come_back(own, to, report(MTA, failed("bob@example.org")))
    arrived(own, login, bool)
    assert [one["type"] for one in told(own, login)] == ["bounced"]


def test_a_complaint_by_rfc_9477_needs_no_more_than_the_fields(own: Gateway) -> None:
    login = own.stack.provision.credential({"dkim": True, "cfbl": True})
    recipient = fresh_recipient()
    send(own, login, recipient)
    own.caught_up()
    message = own.delivered(recipient).message.decode()
    fields = re.findall(r"(?m)^CFBL-[^\r\n]*", message)
    assert len(fields) == 2
    signed = re.sub(r"\s", "", message.partition("DKIM-Signature:")[2].partition("\r\nFrom:")[0])
    assert "cfbl-address:cfbl-address:cfbl-feedback-id:cfbl-feedback-id" in signed
    raw = complaint(f"Original-Rcpt-To: <{recipient}>", returned="\n".join([*fields, ""]))
    come_back(own, re.split(r"[ ;]", fields[0])[1], raw, "feedback@provider.test")
    (found,) = arrived(own, login, bool)
    assert (found["type"], found["recipient"], found["proof"]) == ("complaint", recipient, "cfbl")


def test_a_complaint_that_returns_what_we_signed_is_about_that_message(own: Gateway) -> None:
    login = own.stack.provision.credential({"dkim": True})
    recipient = fresh_recipient()
    send(own, login, recipient)
    own.caught_up()
    message = own.delivered(recipient).message.replace(b"\r\n", b"\n")
    raw = complaint(f"Original-Rcpt-To: <{recipient}>")
    before, _, after = raw.partition(b"Subject: News\n\nHello.\n")
    for _ in range(2):
        come_back(own, f"fbl@{BOUNCE_DOMAIN}", before + message + after, "feedback@provider.test")
    (found,) = arrived(own, login, bool)
    assert (found["type"], found["recipient"], found["proof"]) == ("complaint", recipient, "dkim")
    own.logged("bounces", rf"(?s)(event=told[^\n]*complaint:{recipient}.*){{2}}")
    assert len(told(own, login)) == 1


@pytest.mark.parametrize("recipient", [f"bob@{BOUNCE_DOMAIN}", f"bounce-{'a' * 40}@{BOUNCE_DOMAIN}"])
def test_nothing_else_is_taken_at_a_bounce_domain(own: Gateway, recipient: str) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        come_back(own, recipient, plain("Hello", "there"))
    assert refused.value.recipients[recipient][0] == 530


def test_what_comes_back_while_the_daemon_is_down_or_its_disk_is_full_waits_in_postfix(
    own: Gateway, login: ClientLogin
) -> None:
    to = address(own, login)
    supervisor, directory = own.stack.supervisor, own.stack.settings.bounces.directory
    supervisor.hold("bounces")
    come_back(own, to, report(MTA, failed("down@example.org")))
    supervisor.release("bounces")
    arrived(own, login, lambda found: [one["named"] for one in found] == ["down@example.org"])
    aside = directory.with_name("aside")
    os.rename(directory, aside)  # noqa: PTH104
    come_back(own, to, report(MTA, failed("full@example.org")))
    own.logged("bounces", "not taken, Postfix tries again")
    os.rename(aside, directory)  # noqa: PTH104
    own.stack.postfix.flush()
    arrived(own, login, lambda found: len(found) == 2)
