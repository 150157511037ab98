"""What a client hears when it is refused is found again: in the log, and by ``gatepost event show``."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from gatepost_stack.provision import ACCOUNT, ClientLogin
from tests.integration.harness import SENDER, Gateway, fresh_recipient, text_message, whole
from tests.refs import bare, reference

STAGES = ("RCPT", "DATA", "END-OF-MESSAGE")


def command(gateway: Gateway, *words: str) -> tuple[int, Any, str]:
    run = subprocess.run(
        [sys.executable, "-m", "gatepost_cli", "--config", str(gateway.stack.layout.settings_file), *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return (
        run.returncode,
        json.loads(run.stdout) if run.stdout.startswith(("{", "[")) else run.stdout,
        run.stderr,
    )


def refused_at(gateway: Gateway, login: ClientLogin, stage: str, recipient: str) -> str:
    """Break a rule that is made just before a stage; return what is heard there."""
    user = login.username

    def rule() -> None:
        gateway.stack.provision.rule(user, senders=("other.test",))

    with gateway.logged_in(login) as connection:
        connection.mail(SENDER)
        if stage == "RCPT":
            rule()
            return whole(connection.rcpt(recipient))
        assert connection.rcpt(recipient)[0] == 250
        if stage == "DATA":
            rule()
            return whole(connection.docmd("DATA"))
        assert connection.docmd("DATA")[0] == 354
        rule()
        connection.send(text_message() + b".\r\n")
        return whole(connection.getreply())


@pytest.mark.parametrize("stage", STAGES)
def test_the_reference_that_a_client_hears_is_in_the_log_and_shows_all_of_it(
    gateway: Gateway, login: ClientLogin, stage: str
) -> None:
    recipient = fresh_recipient()
    heard = refused_at(gateway, login, stage, recipient)
    named = reference(heard)
    which = "From header" if stage == "END-OF-MESSAGE" else "Sender"
    said = f"{which} address <alice@example.test> is not allowed for credential {login.username}"
    assert bare(heard).endswith(said)
    daemon = "milter" if stage == "END-OF-MESSAGE" else "policy"
    (line,) = [one for one in gateway.logged(daemon, named).splitlines() if named in one]
    assert f"reference={named}" in line
    assert login.username in line

    code, shown, err = command(gateway, "event", "show", named.lower(), "--json")
    assert (code, err) == (0, "")
    assert (shown["type"], shown["message"], shown["recipient"]) == ("refused", "", recipient)
    assert (shown["account"], shown["credential"]) == (ACCOUNT, login.username)
    detail = shown["detail"]
    assert (detail["stage"], detail["reference"], detail["source"]) == (stage, named, daemon)
    assert (detail["sender"], detail["ip"]) == (SENDER, "127.0.0.1")
    assert detail["reply"] == f"550 5.7.1 {said} (ref {named})"
    assert (
        f"gatepost credential set {login.username} --sender" in shown["advice"]
        or "sender rule" in shown["advice"]
    )
    for pasted in (heard, f"(ref {named})"):
        assert command(gateway, "event", "show", pasted, "--account", ACCOUNT)[0] == 0
    _, listed, _ = command(
        gateway, "event", "list", "--type", "refused", "--credential", login.username, "--json"
    )
    assert [one["id"] for one in listed] == [shown["id"]]


def test_the_same_recipient_refused_again_in_a_transaction_is_one_refusal(
    gateway: Gateway, login: ClientLogin
) -> None:
    gateway.stack.provision.rule(login.username, denied_recipients=("example.org",))
    with gateway.logged_in(login) as connection:
        connection.mail(SENDER)
        heard = {reference(whole(connection.rcpt("bob@example.org"))) for _ in range(3)}
        assert len(heard) == 1
        other = reference(whole(connection.rcpt("carol@example.org")))
        connection.rset()
        connection.mail(SENDER)
        later = reference(whole(connection.rcpt("bob@example.org")))
    gateway.caught_up()
    _, listed, _ = command(
        gateway, "event", "list", "--type", "refused", "--credential", login.username, "--json"
    )
    # Within a millisecond their order is any.
    assert sorted(one["detail"]["reference"] for one in listed) == sorted([later, other, *heard])


def test_the_longest_of_addresses_leaves_the_reference_room(gateway: Gateway, login: ClientLogin) -> None:
    recipient = f"{'b' * 60}@{'.'.join(['d' * 60] * 3)}.example.org"
    gateway.stack.provision.rule(login.username, denied_recipients=("*.example.org",))
    with gateway.logged_in(login) as connection:
        connection.mail(SENDER)
        heard = whole(connection.rcpt(recipient))
    assert reference(heard)
    assert len(heard) + 2 <= 512


def test_without_a_login_the_reference_is_in_the_log_alone(gateway: Gateway) -> None:
    with gateway.connect("submission") as connection:
        connection.mail(SENDER)
        named = reference(whole(connection.rcpt("bob@example.org")))
    assert f"reference={named}" in gateway.logged("policy", named)
    code, _, err = command(gateway, "event", "show", named)
    assert (code, "the log of gatepost-policy" in err) == (3, True)
