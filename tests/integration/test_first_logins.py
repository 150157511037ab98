"""First logins through real Postfix: the credential is made meanwhile, and can be sent with."""

from __future__ import annotations

import smtplib
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gatepost_stack.provision import ACCOUNT, ClientLogin
from gatepost_stack.stack import Stack
from tests.integration.harness import SENDER, Gateway, fresh_recipient, refusal, text_message
from tests.sasl import pamd

NAMES = ("penny", "paul", "peter")
OUR_FAULT = "454 4.7.0"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    passwords = pamd.password_file(tmp_path_factory.mktemp("pam"), *NAMES)
    with (
        pamd.service(*pamd.by_password_file(passwords)) as service,
        Stack(
            tmp_path_factory.mktemp("gateway"),
            milter=False,
            tables={
                "sasl": {"backends": "store,pam", "store_names": "gp*"},
                "pam": {"names": "p*", "service": service, "account": ACCOUNT},
            },
        ) as stack,
    ):
        yield Gateway(stack)


def login(name: str) -> ClientLogin:
    return ClientLogin(name, pamd.PASSWORD)


@contextmanager
def without_events(gateway: Gateway) -> Iterator[None]:
    supervisor = gateway.stack.supervisor
    supervisor.hold("events")
    try:
        yield
    finally:
        supervisor.release("events")


def test_whoever_logs_in_for_the_first_time_sends_in_the_same_session(gateway: Gateway) -> None:
    recipient = fresh_recipient()
    with gateway.logged_in(login("penny")) as connection:
        connection.sendmail(SENDER, [recipient], text_message())
    gateway.delivered(recipient)


def test_while_gatepost_events_is_down_a_first_login_hears_454_in_time_and_others_log_in(
    gateway: Gateway,
) -> None:
    with gateway.logged_in(login("paul")):
        pass
    store_login = gateway.stack.provision.credential()
    with without_events(gateway):
        began = time.monotonic()
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused, gateway.logged_in(login("peter")):
            pass
        assert time.monotonic() - began < 10
        assert refusal(refused.value).startswith(OUR_FAULT)
        for known in (login("paul"), store_login):
            with gateway.logged_in(known):
                pass
    with gateway.logged_in(login("peter")):
        pass
