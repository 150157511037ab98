"""Every host comes back by itself after a reboot, and mail flows."""

from __future__ import annotations

import pytest

from tests.ansible.test_mail import send_html
from tests.ansible.world import World


@pytest.mark.parametrize("name", ["gateway", "client", "mx"])
def test_a_rebooted_host_comes_back_and_mail_flows(deployment: World, name: str) -> None:
    {host.name: host for host in deployment.network.hosts}[name].reboot()
    deployment.receiver.arrived(send_html(deployment))
