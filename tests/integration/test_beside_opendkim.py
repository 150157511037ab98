"""Beside an opendkim that signs what the host sends: submitted mail is signed once, by Gatepost."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from email import message_from_bytes

import pytest

from gatepost_bench import opendkim
from gatepost_core.postfix import Parameter, Service
from gatepost_stack.stack import Stack
from tests.integration.harness import SENDER, Gateway, fresh_recipient, text_message


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Postfix whose own port 25 and sendmail(1) have opendkim sign, and Gatepost's ports 587 and 465."""
    with opendkim.signer() as signer:
        milter = f"unix:{signer.socket}"
        house = {"smtpd_milters": milter, "non_smtpd_milters": milter, "milter_default_action": "accept"}
        house["compatibility_level"] = "3.6"
        extra = [Parameter(name, value, "made by hand") for name, value in house.items()]
        tables = {"postfix": {"scope": "ports", "ports": [587, 465]}}
        others = [Service("smtp", "mx", (), "made by hand")]
        with Stack(tmp_path_factory.mktemp("dkim"), tables=tables, extra=extra, others=others) as stack:
            yield Gateway(stack)


def signatures(beside: Gateway, recipient: str) -> set[str]:
    """Return the selectors that a delivered message is signed with."""
    message = message_from_bytes(beside.delivered(recipient).message)
    tags = [tag.strip() for one in message.get_all("DKIM-Signature", []) for tag in str(one).split(";")]
    return {tag.removeprefix("s=") for tag in tags if tag.startswith("s=")}


def test_submitted_mail_has_gatepost_s_signatures_alone(beside: Gateway) -> None:
    own = {key.selector for key in beside.stack.provision.domain().keys}
    for features, expected in (({"dkim": True}, own), ({}, set())):
        recipient = fresh_recipient()
        with beside.logged_in(beside.stack.provision.credential(features)) as connection:
            connection.sendmail(SENDER, [recipient], text_message())
        assert signatures(beside, recipient) == expected


def test_the_host_s_own_mail_has_opendkim_s_alone(beside: Gateway) -> None:
    own = {key.selector for key in beside.stack.provision.domain().keys}
    by_port, by_program = fresh_recipient(), fresh_recipient()
    with beside.connect("mx", tls=False) as connection:
        connection.sendmail(SENDER, [by_port], text_message())
    command = ["/usr/sbin/sendmail", "-C", str(beside.stack.layout.postfix), "-f", SENDER, by_program]
    subprocess.run(command, input=text_message().replace(b"\r\n", b"\n"), check=True)
    for recipient in (by_port, by_program):
        found = signatures(beside, recipient)
        assert len(found) == 1
        assert not found & own
