"""A worker that hangs while it lives is replaced; its sessions get 4xx, and no mail is lost."""

from __future__ import annotations

import os
import re
import signal
import smtplib
import time
from collections.abc import Iterator

import pytest

from gatepost_stack.provision import ClientLogin
from gatepost_stack.stack import Stack
from tests.integration.harness import SENDER, Gateway, fresh_recipient, text_message


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One worker a daemon, replaced after two seconds without a sign of life."""
    usual: dict[str, float] = {"workers": 1, "hang_seconds": 2.0}
    tables = dict.fromkeys(("sasl", "policy", "milter"), usual)
    with Stack(tmp_path_factory.mktemp("hangs"), tables=tables) as stack:
        yield Gateway(stack)


def codes(error: smtplib.SMTPException) -> set[int]:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return {code for code, _ in error.recipients.values()}
    return {error.smtp_code} if isinstance(error, smtplib.SMTPResponseException) else set()


def sent(gateway: Gateway, login: ClientLogin, recipient: str) -> set[int]:
    """Send a message; return the codes that refused it, none where it was taken."""
    try:
        with gateway.logged_in(login) as connection:
            connection.sendmail(SENDER, [recipient], text_message())
    except smtplib.SMTPException as error:
        return codes(error) or {421}
    return set()


@pytest.mark.parametrize("daemon", ["sasl", "policy", "milter"])
def test_a_worker_that_is_stopped_is_replaced_and_mail_goes_on(gateway: Gateway, daemon: str) -> None:
    login = gateway.stack.provision.credential()
    (stopped,) = gateway.workers(daemon)
    os.kill(stopped, signal.SIGSTOP)
    recipient, deadline = fresh_recipient(), time.monotonic() + 60
    while refusals := sent(gateway, login, recipient):  # as a client tries again
        assert time.monotonic() < deadline
        assert all(400 <= code < 500 for code in refusals)
    gateway.delivered(recipient)
    log = gateway.logged(daemon, "worker hangs, replacing it")
    assert re.search(rf"child={stopped} .*signal=SIGKILL", log)
    assert stopped not in gateway.workers(daemon)
    assert log.count("worker died") == 1
