"""A mail server with work of its own becomes a smart host client, by the role and by hand: its work stays."""

from __future__ import annotations

import json
import re

import pytest

from tests.ansible.conftest import only
from tests.ansible.house import LOCAL, PARTNER, House
from tests.ansible.play import ROOT
from tests.ansible.world import ACCOUNT, PLANS, World, trust

pytestmark = only(PLANS[1])

PAGE = (ROOT / "docs/deploy/smart-host.md").read_text(encoding="utf-8")
# What went into the world by itself takes the gateway; nothing else changes.
WORLD = {"forward", "root"}


@pytest.fixture
def house(deployment: World) -> House:
    return deployment.house


def assert_through_the_gateway(deployment: World, flows: dict[str, bytes]) -> None:
    """Mail to the world came by the gateway, and of all other the same became as before."""
    hop = f"by {deployment.gateway.full_name} (Postfix)".encode()
    before = deployment.house.before
    assert {kind for kind, arrived in flows.items() if hop in arrived} == WORLD
    assert [kind for kind in flows if kind not in WORLD and flows[kind] != before[kind]] == []


def block(first: str, named: dict[str, str]) -> str:
    """Return the page's block of code that has a text, with the names of this network in it."""
    (found,) = (code for code in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) if first in code)
    text = str(found).replace("apt-get install", "apt-get install -y -q")
    for written, here in named.items():
        text = text.replace(written, here)
    return text


def test_with_the_role_all_mail_flows_and_what_goes_to_the_world_takes_the_gateway(
    deployment: World, house: House
) -> None:
    assert "Send a test message" in deployment.runs["smarthost"].text
    assert_through_the_gateway(deployment, house.flows())
    assert not [one for one in deployment.gatepost("message list") if one["sender"].endswith(PARTNER)]
    assert "0.0.0.0:25" in house.host.run("ss -ltnH sport = :25").out, "others can still bring mail"


def test_undone_its_files_are_as_before_and_all_mail_flows(deployment: World, house: House) -> None:
    with house.busy():
        deployment.control.play("smarthost", extra={"gatepost_state": "absent"}).passed()
    house.as_before()


def test_by_hand_a_server_for_local_mail_only_sends_into_the_world_until_it_is_undone(
    deployment: World, house: House
) -> None:
    """Every step as the page has it; the server's own relays, filter and mailboxes go on."""
    host = house.host
    trust(host, deployment.authority)
    host.run("postconf -e default_transport=error; postfix reload")
    files = {path: host.get(path) for path in house.files}
    local = house.flows(world=False)
    assert [kind for kind in local if local[kind] != house.before[kind]] == []
    own = host.run("postconf -xh myorigin").out.strip()
    named = {
        "example.org": LOCAL,
        f"mail.{LOCAL}": deployment.gateway.full_name,
        f"web1.{LOCAL}": own,
        "shop": ACCOUNT,
    }
    command = block("gatepost credential add", named).rstrip()
    made = json.loads(deployment.gateway.run(f"{command} --json").out)
    named |= {"USER": made["username"], "PASSWORD": made["password"]}
    with house.busy(world=False):
        for first in ("gatepost-client unix", "pipemap:"):
            host.run("set -e\n" + block(first, named))
    assert_through_the_gateway(deployment, house.flows(forwarded=f"carol@{LOCAL}"))
    with house.busy(world=False):
        host.run("set -e\n" + block("mv /etc/postfix/main.cf.before", named))
    assert {path: host.get(path) for path in files} == files
    assert house.flows(world=False) == local
    host.put("/etc/postfix/main.cf", house.files["/etc/postfix/main.cf"])
    host.run("postfix reload")
