"""A gateway beside a mail server's work: submission is added, nothing taken over, by the role and by hand."""

from __future__ import annotations

import pytest

from tests.ansible.conftest import only
from tests.ansible.house import House, parameters
from tests.ansible.load import Submission
from tests.ansible.play import ROOT
from tests.ansible.world import ACCOUNT, PLANS, World

pytestmark = only(PLANS[0])

# What Gatepost has to set for the whole queue; everything else keeps its value.
OURS = {"message_size_limit", "enable_long_queue_ids", "disable_mime_output_conversion"}


@pytest.fixture
def house(deployment: World) -> House:
    return deployment.house


def test_before_the_server_does_what_it_was_made_for(house: House) -> None:
    found = house.before
    for kind in ("local", "virtual", "forwarded", "forward"):
        assert b"X-Scanned: yes" in found[kind]
        assert found[kind].startswith(b"Return-Path: <SRS0=HASH=elsewhere.test=dave@example.test>")
    assert b"d=local.test; s=house" in found["inner"]
    assert b"(Authenticated sender: house)" in found["partner"]
    assert b"550" in found["unknown"]
    assert b"Relay access denied" in found["relay"]


def test_every_parameter_that_is_not_ours_keeps_its_value(house: House) -> None:
    now, before = parameters(house.host), house.parameters
    assert {name: now.get(name) for name in before if name not in OURS} == {
        name: value for name, value in before.items() if name not in OURS
    }
    assert "# An entry of our own." in house.host.get("/etc/postfix/master.cf")
    assert "# Set up by hand; please keep the comments." in house.host.get("/etc/postfix/main.cf")


def test_all_its_own_mail_flows_as_before(house: House) -> None:
    assert house.flows() == house.before


def test_customers_write_to_its_mailboxes_and_the_house_changes_nothing_of_it(deployment: World) -> None:
    assert_customers_are_left_alone(deployment)


def assert_customers_are_left_alone(deployment: World) -> None:
    """Submit to a mailbox, from a domain that the house signs for: nothing of the house is in it."""
    made = deployment.gatepost(f"credential add --account {ACCOUNT} --label existing")
    authority = deployment.gateway.get("/etc/gatepost/tls/fullchain.pem") + deployment.authority.pem
    submission = Submission(
        deployment.gateway.address,
        made["username"],
        made["password"],
        authority,
        deployment.gateway.full_name,
    )
    word = f"here-bob-{made['username']}"
    with submission.session() as session:
        session.sendmail("eve@else.test", ["bob@local.test"], f"From: ann@local.test\n\n{word}\n".encode())
    arrived = deployment.house.arrived(word)
    assert arrived.startswith(b"Return-Path: <eve@else.test>")
    assert b"X-Scanned" not in arrived
    assert b"DKIM-Signature" not in arrived


def test_without_the_role_s_ports_and_by_readme_s_steps_and_the_way_back(
    deployment: World, house: House
) -> None:
    absent = {"postfix_state": "absent", "gateway_doctor": False}
    with house.busy():
        deployment.control.play("site", extra=absent).passed()
    house.as_before()
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Beside your own Postfix")[2]
    there, _, back = text.partition("```sh\n")[2].partition("```")[0].partition("gatepost doctor")
    with house.busy():
        typed(house, there)
    assert house.flows() == house.before
    assert_customers_are_left_alone(deployment)
    only = "--only postfix-main-cf --only postfix-master-cf --only postfix-shared --only ports"
    house.host.run(f"gatepost doctor {only}")
    with house.busy():
        typed(house, back.partition("\n")[2])
    house.as_before()


def typed(house: House, script: str) -> None:
    """Run commands at a terminal, and say yes to what they ask."""
    house.host.put("/root/steps.sh", f"set -e\n{script}")
    house.host.run("printf 'y\\n' | script -qec 'sh /root/steps.sh' /dev/null")
