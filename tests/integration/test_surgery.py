"""What leaves a real Postfix when features are on: envelope, header fields, hosted images."""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Iterator
from email import message_from_bytes, policy

import pytest

from gatepost_core.domain import FeatureValue
from gatepost_core.keys import Keyring
from gatepost_core.keys.tokens import BounceTokens, PixelTokens, UnsubscribeTokens
from gatepost_core.postfix import Parameter
from gatepost_stack.stack import Stack
from tests.integration.harness import SENDER, Gateway, fresh_recipient
from tests.waiting import until

CLICK = "click.example.test"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
HTML = (
    f"From: <{SENDER}>\r\nTo: <bob@example.org>\r\nSubject: x\r\nX-Mailer: mine\r\n"
    'Content-Type: multipart/related; boundary="b"\r\n\r\n'
    '--b\r\nContent-Type: text/html\r\n\r\n<p>Hello</p><img src="cid:a@b">\r\n'
    "--b\r\nContent-Type: image/png\r\nContent-ID: <a@b>\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes(PNG).decode().replace("\n", "\r\n")
    + "--b--\r\n"
).encode()


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose Postfix keeps everything in its queue, where it can be looked at."""
    extra = [Parameter("defer_transports", "smtp, relay, lmtp", "test")]
    with Stack(tmp_path_factory.mktemp("held"), extra=extra) as stack:
        yield Gateway(stack)


def keys(gateway: Gateway) -> Keyring:
    return Keyring.load(gateway.stack.settings.keys.directory)


def envelope(gateway: Gateway, queue_id: str) -> str:
    """Return what Postfix keeps of a message's envelope, once its queue manager has it."""
    command = ["/usr/sbin/postcat", "-c", str(gateway.stack.layout.postfix), "-e", "-q", queue_id]

    def shown() -> str:
        return subprocess.run(command, check=False, capture_output=True, text=True).stdout

    return until(shown, f"{queue_id} in the queue")


def test_dsn_parameters_survive_a_changed_sender_and_the_original_one_is_on_record(held: Gateway) -> None:
    login = held.stack.provision.credential({"trackbounces": True})
    with held.logged_in(login) as connection:
        connection.mail(SENDER, ["RET=HDRS", "ENVID=QQ314159"])
        connection.rcpt("bob@example.org", ["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;Bob+40example.com"])
        connection.rcpt("eve@example.org", ["NOTIFY=NEVER"])
        code, reply = connection.data(HTML)
    assert code == 250
    queue_id = reply.decode().rpartition(" ")[2]
    text = envelope(held, queue_id)
    sender = re.search(r"(?m)^sender: (.*)$", text)
    assert sender
    local, _, host = sender[1].partition("@")
    assert host == "bounces.example.test"
    origin = BounceTokens(keys(held)).verify(local, host)
    assert origin
    for line in ("ret_flags=2", "envelope_id=QQ314159", "dsn_orig_rcpt=rfc822;Bob@example.com"):
        assert f"named_attribute: {line}\n" in text, f"{line}\n{text}"
    assert re.findall(r"notify_flags=(\d+)", text) == ["10", "1"], text
    record = held.recorded(queue_id)
    assert (record.id, record.sender) == (origin.message_id, SENDER)


def test_metadata_is_kept_logged_and_does_not_leave(gateway: Gateway) -> None:
    recipient = fresh_recipient()
    with gateway.logged_in(gateway.stack.provision.credential()) as connection:
        connection.mail(SENDER)
        connection.rcpt(recipient)
        code, reply = connection.data(
            b'X-Gatepost-Metadata: {"order": "1234",\r\n\t"lines": [1, 2]}\r\n' + HTML
        )
    assert code == 250
    assert b"x-gatepost" not in gateway.delivered(recipient).message.lower()
    record = gateway.recorded(reply.decode().rpartition(" ")[2])
    assert record.metadata == {"order": "1234", "lines": [1, 2]}
    logged = gateway.logged("milter", f"message_id={record.id} .*metadata=")
    assert r'metadata="{\"order\":\"1234\",\"lines\":[1,2]}"' in logged
    with gateway.logged_in(gateway.stack.provision.credential()) as connection:
        connection.mail(SENDER)
        connection.rcpt(recipient)
        code, reply = connection.data(b"X-Gatepost-Metadata: order=1234\r\n" + HTML)
    assert code == 550
    assert reply.startswith(b"5.6.0 X-Gatepost-Metadata: 'order=1234' is no JSON: Expecting value")


def test_bounces_come_back_to_the_token_and_the_null_sender_stays(gateway: Gateway) -> None:
    login = gateway.stack.provision.credential({"trackbounces": True})
    for sender in (SENDER, ""):
        recipient = fresh_recipient()
        with gateway.logged_in(login) as connection:
            connection.sendmail(sender, [recipient], HTML)
        reached = gateway.delivered(recipient).sender
        local, _, host = reached.partition("@")
        assert bool(BounceTokens(keys(gateway)).verify(local, host)) is bool(sender)


def test_images_are_hosted_and_header_fields_come_and_go(gateway: Gateway) -> None:
    features: dict[str, FeatureValue] = {
        "images": "hosted",
        "trackopens": True,
        "unsubscribe": True,
        "privacy": True,
        "feedbackid": True,
        "dkim": True,
    }
    recipient = fresh_recipient()
    with gateway.logged_in(gateway.stack.provision.credential(features)) as connection:
        connection.sendmail(SENDER, [recipient], HTML)
    message = message_from_bytes(gateway.delivered(recipient).message, policy=policy.default)
    assert "X-Mailer" not in message
    assert message["Feedback-ID"].count(":") == 3
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    token = re.fullmatch(r"<https://click\.example\.test/u/([\w-]+)>", message["List-Unsubscribe"])
    assert token
    assert UnsubscribeTokens(keys(gateway)).verify(token[1], CLICK).recipient == recipient
    assert [part.get_content_type() for part in message.walk()] == ["multipart/related", "text/html"]
    html = next(message.iter_parts()).get_content()
    image, pixel = re.findall(r'src="https://click\.example\.test/([^"]*)"', html)
    name = image.removeprefix("i/")
    (kept,) = gateway.stack.settings.images.directory.glob(f"accounts/*/{name[:2]}/{name}")
    assert kept.read_bytes() == PNG
    opened = PixelTokens(keys(gateway)).verify(pixel.removeprefix("o/").removesuffix(".gif"), CLICK)
    assert opened.host == CLICK
