"""Held messages: edited, signed, and in Postfix's hold queue until somebody, or their time, releases them."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.parser import BytesParser
from email.utils import format_datetime

import pytest

from gatepost_core.domain import Mode, stamp
from gatepost_stack.provision import ClientLogin
from tests.integration.harness import SENDER, Gateway, fresh_recipient, text_message
from tests.integration.holding import (
    carried_out,
    command,
    held,
    holding,
    in_queue,
    is_held,
    postsuper,
    run,
    send,
    told,
    types,
)
from tests.refs import plain
from tests.waiting import until


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with holding(tmp_path_factory.mktemp("holding")) as running:
        yield running


@pytest.fixture
def login(gateway: Gateway) -> ClientLogin:
    return gateway.stack.provision.credential({"dkim": True, "tags": ("t",)}, mode=Mode.HOLD)


def test_a_held_message_is_edited_and_signed_waits_and_is_delivered_once_it_is_released(
    gateway: Gateway, login: ClientLogin
) -> None:
    recipients = [fresh_recipient(), fresh_recipient()]
    number = send(gateway, login, *recipients)
    assert gateway.recorded(number).mode is Mode.HOLD
    until(
        lambda: held(gateway, login) == {number: "the credential is in mode hold"}, "the message to be held"
    )
    gateway.stack.postfix.flush()
    gateway.stack.postfix.stop()
    gateway.stack.postfix.start()
    assert in_queue(gateway)[number] == "hold"
    until(lambda: "milter-hold" in gateway.log("postfix"), "Postfix to say that it holds it")
    until(lambda: types(gateway, number) == ["accepted", "held"], "one event that it is held")
    assert gateway.recorded(number).status == "held"
    (listed,) = command(gateway, "message", "held", "--credential", login.username)
    assert (listed["queue_id"], listed["recipients"], listed["asked"]) == (number, recipients, None)
    postsuper(gateway, "-H", number)
    gateway.stack.postfix.flush()
    for recipient in recipients:
        assert b"\r\nDKIM-Signature: " in b"\r\n" + gateway.delivered(recipient).message
    until(lambda: types(gateway, number).count("delivered") == len(recipients), "the deliveries to be known")
    assert types(gateway, number) == ["accepted", "held", "released", "delivered", "delivered"]
    assert gateway.recorded(number).status == "delivered"
    assert held(gateway, login) == {}


def test_what_is_beyond_a_limit_that_holds_is_held_and_released_by_somebody(gateway: Gateway) -> None:
    login = gateway.stack.provision.credential()
    gateway.stack.provision.limit(login.username, "1/day:hold", "3/day")
    recipients = [fresh_recipient() for _ in range(4)]
    first, second, third = (send(gateway, login, one) for one in recipients[:3])
    gateway.delivered(recipients[0])
    is_held(gateway, login, second, third)
    said = f"over a limit: Credential {login.username} has used {{}} of 1 message a day"
    assert held(gateway, login) == {second: said.format(2), third: said.format(3)}
    assert gateway.recorded(first).status == "delivered"
    with gateway.logged_in(login) as connection, pytest.raises(smtplib.SMTPException) as refused:
        connection.sendmail(SENDER, [recipients[3]], text_message())
    assert "is limited to 3 messages a day" in str(refused.value)
    assert carried_out(gateway, "release", second, third) == [("done", "")] * 2
    for one in recipients[1:3]:
        gateway.delivered(one)


def test_what_would_be_refused_live_is_refused_and_not_held(gateway: Gateway) -> None:
    strict = gateway.stack.provision.credential(senders=("other.test",), mode=Mode.HOLD)
    with gateway.logged_in(strict) as connection:
        connection.mail(SENDER)
        assert connection.rcpt(fresh_recipient())[0] == 550
    assert held(gateway, strict) == {}


def test_a_message_that_is_dropped_by_hand_is_held_no_more(gateway: Gateway, login: ClientLogin) -> None:
    number = send(gateway, login, fresh_recipient())
    until(lambda: number in held(gateway, login), "the message to be held")
    postsuper(gateway, "-d", number)
    until(lambda: number not in held(gateway, login), "the message to be gone")
    assert types(gateway, number) == ["accepted", "held", "failed"]


def test_a_message_that_is_released_is_sent_at_once_and_once(gateway: Gateway, login: ClientLogin) -> None:
    recipients = [fresh_recipient(), fresh_recipient()]
    number, other = (send(gateway, login, one) for one in recipients)
    is_held(gateway, login, number, other)
    (done,) = command(gateway, "message", "release", number)
    assert (done["state"], done["verb"], done["by"][:4]) == ("done", "release", "root")
    gateway.delivered(recipients[0], 5)
    until(lambda: "delivered" in types(gateway, number), "the delivery to be known")
    (released,) = [one for one in told(gateway, number) if one.type == "released"]
    assert released.detail["by"].startswith("root")
    assert list(held(gateway, login)) == [other]
    refused = run(gateway, "message", "release", number)
    assert (refused.returncode, "is not held; its status is delivered" in refused.stderr) == (2, True)
    assert sum(recipients[0] in one.recipients for one in gateway.all_delivered()) == 1


def test_a_message_that_is_dropped_is_gone_and_it_is_known_who_wanted_that(
    gateway: Gateway, login: ClientLogin
) -> None:
    recipient = fresh_recipient()
    number = send(gateway, login, recipient)
    is_held(gateway, login, number)
    assert carried_out(gateway, "drop", number) == [("done", "")]
    assert number not in in_queue(gateway)
    until(lambda: "failed" in types(gateway, number), "the log to tell it")
    (failed,) = [one for one in told(gateway, number) if one.type == "failed"]
    assert failed.detail["by"].startswith("root")
    assert gateway.recorded(number).status == "failed"
    assert held(gateway, login) == {}


def test_what_may_not_be_sent_any_more_stays_held_and_says_why(gateway: Gateway, login: ClientLogin) -> None:
    recipients = [fresh_recipient(), fresh_recipient()]
    one, two = (send(gateway, login, recipient) for recipient in recipients)
    is_held(gateway, login, one, two)
    account = command(gateway, "credential", "show", login.username)["account"]
    command(gateway, "suppression", "add", "--account", account, recipients[1])
    gateway.stack.provision.disable(login.username)
    assert carried_out(gateway, "release", one) == [("stays", f"credential disabled: {login.username}")]
    gateway.stack.provision.enable(login.username)
    found = carried_out(gateway, "release", one, two)
    assert found[0] == ("done", "")
    assert found[1][0] == "stays"
    assert found[1][1].startswith(f"<{recipients[1]}> is suppressed since ")
    gateway.delivered(recipients[0], 5)
    listed = command(gateway, "message", "held", "--credential", login.username)
    assert [(item["queue_id"], item["asked"]["state"]) for item in listed] == [(two, "stays")]
    assert in_queue(gateway)[two] == "hold"
    # Dropping asks nobody's leave.
    assert carried_out(gateway, "drop", two) == [("done", "")]


def test_a_field_sender_is_judged_again_when_its_message_is_released(
    gateway: Gateway, login: ClientLogin
) -> None:
    recipient = fresh_recipient()
    with gateway.logged_in(login) as connection:
        connection.sendmail(SENDER, [recipient], b"Sender: list@other.test\r\n" + text_message())
    (number,) = until(lambda: held(gateway, login), "the message to be held")
    command(gateway, "credential", "set", login.username, "--sender", SENDER.rpartition("@")[2])
    reason = f"Sender header address <list@other.test> is not allowed for credential {login.username}"
    assert carried_out(gateway, "release", number) == [("stays", reason)]
    command(gateway, "credential", "set", login.username, "--sender", "none")
    assert carried_out(gateway, "release", number) == [("done", "")]
    gateway.delivered(recipient, 5)


def test_what_cannot_be_done_now_is_done_later(gateway: Gateway, login: ClientLogin) -> None:
    recipient = fresh_recipient()
    number = send(gateway, login, recipient)
    is_held(gateway, login, number)
    gateway.stack.supervisor.hold("hold")
    try:
        done = run(gateway, "message", "release", number, "--wait", "0")
        assert (done.returncode, "not done yet" in done.stdout) == (1, True)
        assert in_queue(gateway)[number] == "hold"
    finally:
        gateway.stack.supervisor.release("hold")
    gateway.delivered(recipient, 30)


def scheduled(gateway: Gateway, login: ClientLogin, recipient: str, at: datetime | str) -> tuple[int, str]:
    """Send a message that is to be sent later; return the reply."""
    when = at if isinstance(at, str) else at.strftime("%Y-%m-%dT%H:%M:%SZ")
    with gateway.logged_in(login) as connection:
        connection.mail(SENDER)
        connection.rcpt(recipient)
        code, text = connection.data(f"X-Gatepost-Send-At: {when}\r\n".encode() + text_message())
    return code, plain(text.decode())


def test_a_message_is_sent_when_it_asks_to_be_by_itself(gateway: Gateway) -> None:
    live = gateway.stack.provision.credential({"dkim": True})
    recipient = fresh_recipient()
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=25)
    code, text = scheduled(gateway, live, recipient, at)
    number = text.rpartition(" ")[2]
    assert code == 250
    until(lambda: held(gateway, live) == {number: f"to be sent at {stamp(at)}"}, "the message to be held")
    # As after the host's restart: nobody remembers but the store.
    gateway.stack.supervisor.hold("events")
    gateway.stack.supervisor.release("events")
    assert in_queue(gateway)[number] == "hold"
    message = gateway.delivered(recipient, 90).message
    assert datetime.now(UTC) >= at
    assert b"X-Gatepost" not in message
    fields = BytesParser().parsebytes(message)
    assert fields.get_all("Date") == [format_datetime(at)]
    until(lambda: "delivered" in types(gateway, number), "the delivery to be known")
    assert types(gateway, number) == ["accepted", "held", "released", "delivered"]
    assert told(gateway, number)[2].detail["by"] == "schedule"


def test_a_time_that_has_passed_means_now_and_one_too_far_ahead_is_refused(gateway: Gateway) -> None:
    live = gateway.stack.provision.credential()
    recipient, now = fresh_recipient(), datetime.now(UTC)
    code, text = scheduled(gateway, live, recipient, now - timedelta(minutes=1))
    assert code == 250
    gateway.delivered(recipient)
    record = gateway.recorded(text.rpartition(" ")[2])
    assert record.skipped == {"sendat": "that time has passed: it is sent at once"}
    far = now + timedelta(hours=61)
    assert scheduled(gateway, live, recipient, far) == (
        550,
        f"5.6.0 X-Gatepost-Send-At: {stamp(far)} is too far ahead; expected a time within 60 hours",
    )
    code, text = scheduled(gateway, live, recipient, "soon")
    assert (code, text.startswith("5.6.0 X-Gatepost-Send-At: 'soon' is no time")) == (550, True)


def test_one_that_is_to_be_sent_later_can_be_called_off_and_sent_earlier(gateway: Gateway) -> None:
    live = gateway.stack.provision.credential()
    recipients, at = [fresh_recipient(), fresh_recipient()], datetime.now(UTC) + timedelta(hours=2)
    one, two = (scheduled(gateway, live, to, at)[1].rpartition(" ")[2] for to in recipients)
    is_held(gateway, live, one, two)
    listed = command(gateway, "message", "held", "--credential", live.username)
    assert {(item["asked"]["by"], item["asked"]["due"]) for item in listed} == {("schedule", stamp(at))}
    assert carried_out(gateway, "drop", one) == [("done", "")]
    assert carried_out(gateway, "release", two) == [("done", "")]
    gateway.delivered(recipients[1], 10)
    assert one not in in_queue(gateway)
