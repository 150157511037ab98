"""Suspension through a real Postfix: bounces stop their credential, in open sessions too, and no other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from gatepost_core.domain import State
from gatepost_core.postfix import Parameter
from gatepost_core.store import credentials, events
from gatepost_core.store.opening import open_backend
from gatepost_stack.provision import ClientLogin
from gatepost_stack.stack import Stack
from tests.bounces.forms import MTA, complaint, failed, report
from tests.integration.harness import SENDER, Gateway, fresh_recipient, reply, text_message
from tests.waiting import until


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway on which half of ten recipients are too many to bounce."""
    folder = tmp_path_factory.mktemp("suspension")
    (folder / "transports").write_text("nobody.test error:5.1.1 User unknown\n")
    extra = [
        Parameter("transport_maps", f"texthash:{folder}/transports $gatepost_transport", "refused"),
        Parameter("smtpd_reject_unlisted_recipient", "no", "refused"),
    ]
    tables = {"suspension": {"least": 10, "bounces_warn": 20, "bounces_suspend": 50}}
    with Stack(folder / "var", extra=extra, tables=tables) as stack:
        yield Gateway(stack)


def send(own: Gateway, login: ClientLogin, good: int, bad: int) -> None:
    """Send messages to one recipient each; of ``bad`` ones the log tells that they failed."""
    recipients = [fresh_recipient() for _ in range(good)]
    recipients += [fresh_recipient().replace("example.org", "nobody.test") for _ in range(bad)]
    with own.logged_in(login) as connection:
        for one in recipients:
            connection.sendmail(SENDER, [one], text_message())


def told(own: Gateway, username: str) -> list[dict[str, Any]]:
    """Return what events tell of a credential's suspension, the oldest first."""
    with own.journal() as journal:
        found = events.each(journal, events.Wanted(types=("suspended",), credential=username), 10)
        return [dict(one.detail) for one in found][::-1]


def command(own: Gateway, *words: str) -> Any:
    run = subprocess.run(
        [sys.executable, "-m", "gatepost_cli", "--config", own.stack.layout.settings_file, *words, "--json"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return json.loads(run.stdout)


def test_bounces_warn_then_suspend_and_enable_lifts_it(own: Gateway) -> None:
    login, other = own.stack.provision.credential(), own.stack.provision.credential()
    send(own, other, 10, 2)
    send(own, login, 8, 3)
    until(
        lambda: [one["action"] for one in told(own, login.username)] == ["warned"], lambda: own.log("events")
    )
    with own.logged_in(login) as connection:  # a session that is open meanwhile
        send(own, login, 0, 8)
        until(lambda: len(told(own, login.username)) == 2, lambda: own.log("events"))
        connection.mail(SENDER)
        refused = reply(connection.rcpt(fresh_recipient()))
    said = f"Credential {login.username} is suspended since 20"
    assert refused.startswith("550 5.7.1 ")
    assert said in refused
    assert "recipients in 24 hours bounced for good" in refused
    assert refused.endswith("more than 50 %; ask your mail administrator")
    last = told(own, login.username)[-1]
    assert (last["action"], last["cause"], last["most"]) == ("suspended", "bounces", 50)

    shown = command(own, "credential", "show", login.username)
    assert (shown["state"], shown["suspension"]["cause"]) == ("disabled", "bounces")
    assert [one["action"] for one in shown["suspensions"]] == ["suspended", "warned"]
    listed = command(own, "credential", "list", "--state", "suspended")
    assert [one["username"] for one in listed] == [login.username]
    log = own.logged("sasl", "credential suspended") if _login_fails(own, login) else ""
    assert login.username in log

    lifted = command(own, "credential", "enable", login.username)["lifted"]
    assert [one["action"] for one in lifted] == ["suspended", "warned"]
    with own.logged_in(login) as connection:
        connection.sendmail(SENDER, [fresh_recipient()], text_message())
    with own.logged_in(other) as connection:
        connection.sendmail(SENDER, [fresh_recipient()], text_message())


def _login_fails(own: Gateway, login: ClientLogin) -> bool:
    outcome = own.swaks("submission", "--quit-after", "AUTH", login=login)
    return "535 5.7.8" in outcome.output


def test_nobody_else_s_mail_suspends_a_credential(own: Gateway) -> None:
    """Another account, and the world outside, try with forged reports and mail of their own."""
    login = own.stack.provision.credential({"trackbounces": True})
    own.stack.provision.owner("mallory", "mallory.test")
    attacker = own.stack.provision.credential(account="mallory")
    recipients = [fresh_recipient() for _ in range(10)]
    with own.logged_in(login) as connection:
        for one in recipients:
            connection.sendmail(SENDER, [one, fresh_recipient()], text_message())
    bounce = own.delivered(recipients[0]).sender
    domain = bounce.partition("@")[2]
    with own.connect("mx", tls=False) as connection:
        # One of several recipients, who knows the address of its message, tells of others.
        for one in recipients:
            connection.sendmail("", [own.delivered(one).sender], report(MTA, failed(one)))
        for one in recipients:  # without what shows that the message is ours
            connection.mail("")
            connection.rcpt(f"fbl@{domain}")
            connection.data(complaint(f"Original-Rcpt-To: {one}", returned=f"Feedback-ID: {login.username}"))
    with own.logged_in(attacker) as connection:
        for one in recipients:
            own_mail = text_message(sender="m@mallory.test")
            connection.sendmail("m@mallory.test", [one.replace("example.org", "nobody.test")], own_mail)
    until(lambda: told(own, attacker.username), lambda: own.log("events"))
    with open_backend(own.stack.settings.store).directory() as connection:
        assert credentials.get(connection, login.username).state is State.ACTIVE
    assert told(own, login.username) == []
