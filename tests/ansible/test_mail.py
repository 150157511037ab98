"""Mail from a client's local Postfix, through the gateway, to the receiving MX."""

from __future__ import annotations

import secrets
from itertools import pairwise

import dkim

from tests.ansible.conftest import only
from tests.ansible.receiving import DOMAIN
from tests.ansible.world import PLANS, SENDER_DOMAIN, World

HTML = """From: News <news@{domain}>
To: joe@{to}
Subject: {token}
MIME-Version: 1.0
Content-Type: text/html; charset=utf-8

<html><head><style>p.note {{ color: red }}</style></head><body><p class="note">hi</p></body></html>
"""


def send_html(deployment: World) -> str:
    """Send an HTML message as the shop; returns its subject."""
    token = f"html-{secrets.token_hex(8)}"
    message = HTML.format(domain=SENDER_DOMAIN, to=DOMAIN, token=token)
    deployment.client.run(f"sendmail -f news@{SENDER_DOMAIN} joe@{DOMAIN}", stdin=message.encode())
    return token


def test_a_word_piped_into_sendmail_arrives(deployment: World) -> None:
    word = f"hi-{secrets.token_hex(8)}"
    deployment.client.run(f"echo {word} | sendmail joe@{DOMAIN}")
    message = deployment.receiver.arrived(word).message
    hops = "\n".join(message.get_all("Received", []))
    assert "ESMTPSA" in hops
    assert deployment.gateway.full_name in hops


def test_reports_can_be_handed_to_postfix(deployment: World) -> None:
    """What runs has the group by now: a daemon learns of it as it starts."""
    process = "/proc/$(systemctl show -P MainPID gatepost-events)/status"
    groups = deployment.gateway.run(
        f"grep ^Groups: {process}; getent group postdrop | cut -d: -f3"
    ).out.split()
    assert groups[-1] in groups[:-1]


def test_both_hops_are_encrypted_and_the_servers_names_verified(deployment: World) -> None:
    deployment.receiver.arrived(send_html(deployment))
    hops = [deployment.client, deployment.gateway, deployment.receiver.host]
    # A gateway that has its own level of TLS says how far that goes.
    levels = ["Verified", "Trusted" if deployment.plan.house == "gateway" else "Verified"]
    for (host, next_hop), level in zip(pairwise(hops), levels, strict=True):
        log = host.run("journalctl -o cat --no-pager -t postfix/smtp").out
        assert f"{level} TLS connection established to {next_hop.full_name}" in log


def test_the_credentials_features_are_applied_and_every_dkim_signature_verifies(deployment: World) -> None:
    arrived = deployment.receiver.arrived(send_html(deployment))
    message = arrived.message
    assert 'style="' in message.get_content()
    assert message["Feedback-ID"]
    signatures = message.get_all("DKIM-Signature", [])
    assert len(signatures) == 2, "one RSA and one Ed25519 signature"
    verifier = dkim.DKIM(arrived.sent)
    for index in range(len(signatures)):
        assert verifier.verify(idx=index, dnsfunc=deployment.receiver.lookup)


def test_a_delivery_is_known_by_the_hosts_own_log(deployment: World) -> None:
    """By journald's journal, or rsyslog's file where a plan has one; read by the unit's own user."""
    token = send_html(deployment)
    deployment.receiver.arrived(token)
    found = f"gatepost message list --subject {token} --json | grep delivered"
    deployment.gateway.wait_for(found, "the delivery in the list of messages")
    assert deployment.gateway.run("gatepost doctor --only mail-log --json").status == 0


@only(PLANS[0])
def test_with_a_wrong_password_mail_waits_on_the_client_until_the_play_rotates_it(deployment: World) -> None:
    username = deployment.username()
    deployment.gateway.run(f"gatepost credential rotate {username} --overlap 0h --json")
    token = send_html(deployment)
    deployment.client.wait_for("mailq | grep -i 'authentication failed'", "the mail waits in the queue")
    deployment.control.play("smarthost", "--tags", "rotate").passed()
    deployment.client.run("postqueue -f")
    deployment.receiver.arrived(token)
    assert deployment.client.run("mailq").out.strip() == "Mail queue is empty"


@only(PLANS[0])
def test_after_a_rotation_the_play_changes_nothing(deployment: World) -> None:
    assert deployment.control.play("smarthost").passed().changed == []
