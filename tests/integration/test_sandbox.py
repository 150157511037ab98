"""A credential in sandbox mode: its messages are accepted and recorded like others, and never delivered."""

from __future__ import annotations

import base64

from gatepost_core.domain import Mode
from gatepost_stack.provision import ClientLogin
from tests.integration.harness import SENDER, Gateway, fresh_recipient, text_message
from tests.integration.test_surgery import HTML


def test_a_message_is_accepted_and_recorded_with_its_features_and_not_delivered(gateway: Gateway) -> None:
    sandbox = gateway.stack.provision.credential({"dkim": True, "trackbounces": True}, mode=Mode.SANDBOX)
    live = gateway.stack.provision.credential()
    recipients = [fresh_recipient() for _ in range(3)]
    with gateway.logged_in(sandbox) as connection:
        for recipient in recipients[:2]:
            assert connection.sendmail(SENDER, [recipient], text_message(recipient)) == {}
        # What it is, is asked anew for each message.
        gateway.stack.provision.set_mode(sandbox.username, Mode.LIVE)
        connection.sendmail(SENDER, [recipients[2]], text_message())
    gateway.delivered(recipients[2])
    last = fresh_recipient()
    with gateway.logged_in(live) as connection:
        connection.sendmail(SENDER, [last], text_message())
    gateway.delivered(last)
    third, second, first = gateway.records(sandbox.username)
    assert [one.mode for one in (first, second, third)] == [Mode.SANDBOX, Mode.SANDBOX, Mode.LIVE]
    assert first.recipients == (recipients[0],)
    assert set(first.applied) == {"dkim", "trackbounces"}
    arrived = {address for item in gateway.all_delivered() for address in item.recipients}
    assert not arrived & set(recipients[:2])
    log = gateway.logged("milter", first.queue_id)
    line = next(line for line in log.splitlines() if first.queue_id in line)
    assert "discarded" in line
    # Postfix 3.10 says that it removed what it had taken in, and 3.7 nothing: neither queued it.
    lines = gateway.log("postfix").splitlines()
    assert not [line for line in lines if f"{first.queue_id}: from=" in line and "queue active" in line]
    assert all("(discarded)" in line for line in lines if f"{first.queue_id}: removed" in line)


def test_what_is_refused_live_is_refused_in_the_sandbox_too(gateway: Gateway) -> None:
    made = gateway.stack.provision.credential(senders=("other.test",), mode=Mode.SANDBOX)
    with gateway.logged_in(ClientLogin(made.username, made.password)) as connection:
        connection.mail(SENDER)
        assert connection.rcpt(fresh_recipient())[0] == 550
    assert gateway.records(made.username) == []


def test_no_image_of_a_sandbox_is_kept_though_its_record_says_what_a_live_one_would_get(
    gateway: Gateway,
) -> None:
    sandbox = gateway.stack.provision.credential({"images": "hosted"}, mode=Mode.SANDBOX)
    folder = gateway.stack.settings.images.directory
    before = sorted(folder.rglob("*"))
    head, between, _ = HTML.partition(b"base64\r\n\r\n")
    data = head + between + base64.b64encode(b"\x89PNG\r\n\x1a\nnobody else's") + b"\r\n--b--\r\n"
    with gateway.logged_in(sandbox) as connection:
        connection.sendmail(SENDER, [fresh_recipient()], data)
    (record,) = gateway.records(sandbox.username)
    assert (record.mode, record.applied, record.skipped) == (Mode.SANDBOX, ("images",), {})
    assert sorted(folder.rglob("*")) == before
