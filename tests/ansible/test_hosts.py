"""The test hosts themselves: Debian with systemd, reachable by SSH, with names and addresses that last."""

from __future__ import annotations

import pytest

from tests.ansible.hosts import PrivateNetwork
from tests.ansible.images import RELEASES


@pytest.mark.parametrize("release", RELEASES)
def test_a_host_boots_its_release_and_comes_back_with_its_address_and_files(
    network: PrivateNetwork, release: str
) -> None:
    host = network.host(f"bare-{release}", release).wait_running()
    host.put("/etc/kept", "kept\n")
    host.reboot()
    assert f"VERSION_CODENAME={release}" in host.get("/etc/os-release")
    assert host.get("/etc/kept") == "kept\n"
    assert host.run(f"getent hosts {host.full_name}").out.split()[0] == host.address
    assert host.address in host.run("ip -4 addr show dev eth0").out
