"""A gateway beside a Postfix with mailboxes: submission is added, nothing taken over, undone to the byte."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.ansible import handmade
from tests.ansible.conftest import only
from tests.ansible.hosts import Host
from tests.ansible.play import Control
from tests.ansible.world import PLANS, World, trust

pytestmark = only(PLANS[0])

# What Gatepost has to set for the whole queue; everything else keeps its value.
OURS = {"message_size_limit", "enable_long_queue_ids", "disable_mime_output_conversion"}


@dataclass(slots=True)
class Existing:
    """A host with a hand-made Postfix: its files and parameters as they were, and its control node."""

    host: Host
    control: Control
    files: dict[str, str]
    parameters: dict[str, str]


@pytest.fixture(scope="module")
def existing(deployment: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Existing]:
    host = deployment.network.host("older", "bookworm", dns=[deployment.receiver.host.address])
    trust(host.wait_running(), deployment.authority)
    files = handmade.postfix(host)
    parameters = handmade.parameters(host)
    control = Control(tmp_path_factory.mktemp("control-older"), {"gatepost_gateways": [host]})
    own = {"postfix_hostname": host.full_name, "postfix_tls_mode": "selfsigned", "gateway_domains": []}
    control.variables("gatepost_gateways", deployment.gateway_variables(**own))
    try:
        control.play("site").passed()
        yield Existing(host, control, files, parameters)
    finally:
        control.close()
        host.remove()


def deliver_locally(host: Host, word: str) -> None:
    talk = "import smtplib; smtplib.SMTP('127.0.0.1').sendmail('a@a.test', ['bob@local.test'], 'X: {}')"
    host.run(f'python3 -c "{talk.format(word)}"')
    host.wait_for(f"grep -rl {word} /home/bob/Maildir/new", "mail to a mailbox is delivered")


def test_every_parameter_that_is_not_ours_keeps_its_value(existing: Existing) -> None:
    now = handmade.parameters(existing.host)
    assert {name: now.get(name) for name in existing.parameters if name not in OURS} == {
        name: value for name, value in existing.parameters.items() if name not in OURS
    }
    assert "# An entry of our own." in existing.host.get("/etc/postfix/master.cf")
    assert "# Set up by hand; please keep the comments." in existing.host.get("/etc/postfix/main.cf")


def test_mailboxes_still_get_their_mail_on_port_25(existing: Existing) -> None:
    deliver_locally(existing.host, "word-with-gatepost")


def test_a_port_that_is_taken_stops_the_play_before_any_change(existing: Existing) -> None:
    before = existing.host.get("/etc/postfix/master.cf")
    played = existing.control.play("site", extra={"postfix_ports": [587, 10026]}).refused()
    assert "postfix_ports" in played.text
    assert played.changed == []
    assert existing.host.get("/etc/postfix/master.cf") == before


def test_undone_its_files_are_as_before_byte_for_byte(existing: Existing) -> None:
    existing.control.play("site", extra={"gatepost_state": "absent"}).passed()
    for path, content in existing.files.items():
        assert existing.host.get(path) == content
    deliver_locally(existing.host, "word-without-gatepost")
