"""Guessing through Postfix: locked out in the same words, caught by Fail2Ban's filters, mended by time."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost_stack.provision import ClientLogin
from gatepost_stack.stack import Stack
from tests.integration.harness import MECHANISMS, Gateway, Mechanism, refusal
from tests.sasl.test_fail2ban import FILTER, addresses


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that locks out early and for a short while."""
    sasl = {"failure_delay": 0.01, "guess_limit": 3, "guess_lockout": 2, "workers": 2}
    with Stack(tmp_path_factory.mktemp("guessing"), milter=False, tables={"sasl": sasl}) as stack:
        yield Gateway(stack)


def attempt(gateway: Gateway, login: ClientLogin, mechanism: Mechanism = "PLAIN") -> str:
    """Log in on a connection of its own; return the refusal, empty for a success."""
    try:
        with gateway.logged_in(login, "submission", mechanism):
            return ""
    except smtplib.SMTPAuthenticationError as error:
        return refusal(error)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_guesser_is_locked_out_across_workers_and_a_known_name_shows_no_difference(
    gateway: Gateway, mechanism: Mechanism
) -> None:
    login, other = gateway.stack.provision.credential(), gateway.stack.provision.credential()
    refusals = {attempt(gateway, ClientLogin(login.username, "guess"), mechanism) for _ in range(4)}
    refusals.add(attempt(gateway, login, mechanism))
    refusals |= {attempt(gateway, ClientLogin(f"nobody-{mechanism}", "guess"), mechanism) for _ in range(5)}
    assert len(refusals) == 1
    assert refusals.pop().startswith("535 5.7.8 ")
    assert attempt(gateway, other, mechanism) == ""
    assert gateway.log("sasl").count(f"result=locked user={login.username} ") == 2


def test_a_lockout_ends_by_itself(gateway: Gateway) -> None:
    login = gateway.stack.provision.credential()
    for _ in range(3):
        attempt(gateway, ClientLogin(login.username, "guess"))
    assert attempt(gateway, login).startswith("535")
    while attempt(gateway, login):  # the test's time limit ends it
        pass


def test_both_filters_of_fail2ban_catch_each_refused_login(gateway: Gateway, tmp_path: Path) -> None:
    for mechanism in MECHANISMS:
        attempt(gateway, ClientLogin("caught", "guess"), mechanism)
    (tmp_path / "sasl.log").write_text(gateway.log("sasl"), encoding="utf-8")
    ours = addresses(tmp_path / "sasl.log", str(FILTER))
    stock = addresses(gateway.stack.layout.logs / "postfix.log", "postfix[mode=auth]")
    assert ours == stock
    assert set(ours) == {"127.0.0.1"}
