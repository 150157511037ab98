"""Every host comes back by itself after a reboot, and mail flows."""

from __future__ import annotations

import pytest

from tests.ansible.conftest import only
from tests.ansible.test_mail import send_html
from tests.ansible.world import PLANS, World


@pytest.mark.parametrize("name", ["gateway", "client", "mx"])
def test_a_rebooted_host_comes_back_and_mail_flows(deployment: World, name: str) -> None:
    {host.name: host for host in deployment.network.hosts}[name].reboot()
    deployment.receiver.arrived(send_html(deployment))


@only(PLANS[0])
def test_a_held_message_outlives_a_reboot_and_is_released_by_the_unit_of_root_s(deployment: World) -> None:
    gateway, user = deployment.gateway, deployment.username()
    deployment.gatepost(f"credential set {user} --mode hold")
    try:
        sent, dropped = send_html(deployment), send_html(deployment)
        for token in (sent, dropped):
            gateway.wait_for(f"gatepost message held --json | grep {token}", "the message to be held")
    finally:
        deployment.gatepost(f"credential set {user} --mode live")
    gateway.reboot()
    held = {one["subject"]: one["id"] for one in deployment.gatepost("message held")}
    (one,) = deployment.gatepost(f"message release {held[sent]} --wait 60")
    assert (one["state"], one["reason"]) == ("done", "")
    deployment.receiver.arrived(sent)
    (other,) = deployment.gatepost(f"message drop {held[dropped]} --wait 60")
    assert (other["state"], other["reason"]) == ("done", "")
    assert gateway.run("postqueue -j").out.strip() == ""
    assert gateway.run("gatepost doctor --only hold-socket --json").status == 0
