"""Held messages: edited, signed, and in Postfix's hold queue until somebody has them released."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from gatepost_core.domain import Mode
from gatepost_core.postfix import Parameter
from gatepost_stack.provision import ClientLogin
from gatepost_stack.stack import Stack
from tests.integration.harness import SENDER, Gateway, fresh_recipient, text_message
from tests.waiting import until


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that looks at its queue as seldom as Postfix does by default."""
    rare = [Parameter("queue_run_delay", "300s", "Postfix's default")]
    with Stack(tmp_path_factory.mktemp("holding"), extra=rare) as stack:
        yield Gateway(stack)


@pytest.fixture
def login(gateway: Gateway) -> ClientLogin:
    return gateway.stack.provision.credential({"dkim": True, "tags": ("t",)}, mode=Mode.HOLD)


def command(gateway: Gateway, *words: str) -> Any:
    """Return what a command prints, as data."""
    config = str(gateway.stack.layout.settings_file)
    line = [sys.executable, "-m", "gatepost_cli", "--config", config, *words, "--json"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def send(gateway: Gateway, login: ClientLogin, *recipients: str) -> str:
    """Send a message; return its queue id."""
    with gateway.logged_in(login) as connection:
        connection.mail(SENDER)
        for recipient in recipients:
            assert connection.rcpt(recipient)[0] == 250
        code, text = connection.data(text_message())
    assert code == 250, text
    return text.decode().rpartition(" ")[2]


def in_queue(gateway: Gateway) -> dict[str, str]:
    """Return the queue that each queue id is in."""
    postqueue = ["/usr/sbin/postqueue", "-c", str(gateway.stack.layout.postfix), "-j"]
    done = subprocess.run(postqueue, capture_output=True, text=True, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {one["queue_id"]: one["queue_name"] for one in found}


def postsuper(gateway: Gateway, *words: str) -> None:
    program = ["/usr/sbin/postsuper", "-c", str(gateway.stack.layout.postfix), *words]
    subprocess.run(program, capture_output=True, check=True)


def shown(gateway: Gateway, queue_id: str) -> Any:
    gateway.recorded(queue_id)
    return command(gateway, "message", "show", queue_id)


def types(gateway: Gateway, queue_id: str) -> list[str]:
    return [one["type"] for one in shown(gateway, queue_id)["events"]]


def held(gateway: Gateway, login: ClientLogin) -> dict[str, str]:
    """Return why messages of a credential are held, by their queue ids."""
    listed = command(gateway, "message", "held", "--credential", login.username)
    return {one["queue_id"]: one["reason"] for one in listed}


def test_a_held_message_is_edited_and_signed_waits_and_is_delivered_once_it_is_released(
    gateway: Gateway, login: ClientLogin
) -> None:
    recipients = [fresh_recipient(), fresh_recipient()]
    number = send(gateway, login, *recipients)
    assert shown(gateway, number)["mode"] == "hold"
    until(
        lambda: held(gateway, login) == {number: "the credential is in mode hold"}, "the message to be held"
    )
    gateway.stack.postfix.flush()
    gateway.stack.postfix.stop()
    gateway.stack.postfix.start()
    assert in_queue(gateway)[number] == "hold"
    until(lambda: "milter-hold" in gateway.log("postfix"), "Postfix to say that it holds it")
    until(lambda: types(gateway, number) == ["accepted", "held"], "one event that it is held")
    assert {one["state"] for one in shown(gateway, number)["recipient_states"]} == {"held"}
    postsuper(gateway, "-H", number)
    gateway.stack.postfix.flush()
    for recipient in recipients:
        assert b"\r\nDKIM-Signature: " in b"\r\n" + gateway.delivered(recipient).message
    until(lambda: types(gateway, number).count("delivered") == len(recipients), "the deliveries to be known")
    # A log that tells seconds only does not say which of the last three was first.
    assert types(gateway, number)[:2] == ["accepted", "held"]
    assert sorted(types(gateway, number)[2:]) == ["delivered", "delivered", "released"]
    assert held(gateway, login) == {}


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
