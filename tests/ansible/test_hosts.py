"""The test hosts themselves: Debian with systemd, reachable by SSH, with names and addresses that last."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import docker
import pytest

from tests.ansible import engine, images
from tests.ansible.hosts import PrivateNetwork
from tests.ansible.images import RELEASES

RUN = """
import sys
from tests.ansible import engine, hosts
name, image = sys.argv[1:]
client = engine.ensure()
hosts.PrivateNetwork.make(client, name)
client.containers.run(image, ["sleep", "300"], detach=True, network=name, labels=engine.labels(name))
print("made", flush=True)
sys.stdin.read()
"""
NEXT = "from tests.ansible import engine; engine.ensure(); engine.release()"


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


def test_what_a_killed_run_left_goes_with_the_next_run_but_not_what_a_live_one_uses(
    client: docker.DockerClient, tmp_path: Path
) -> None:
    """Killed by a time limit, a run cannot clean up; its hosts are neither to stay nor in anybody's way."""
    name, root = f"gatepost-killed-{os.getpid()}", Path(__file__).parents[2]
    environment = {**os.environ, "GATEPOST_TEST_CACHE": str(tmp_path)}  # runs apart from this one
    ours = {"label": f"{engine.LABEL}={name}"}
    with subprocess.Popen(
        [sys.executable, "-c", RUN, name, images.image(client, "bookworm")],
        cwd=root, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as run:  # fmt: skip
        try:
            assert run.stdout
            assert run.stdout.readline() == "made\n"
            subprocess.run([sys.executable, "-c", NEXT], cwd=root, env=environment, check=True)
            assert len(client.containers.list(filters=ours)) == 1
        finally:
            run.kill()
    subprocess.run([sys.executable, "-c", NEXT], cwd=root, env=environment, check=True)
    assert client.containers.list(all=True, filters=ours) == []
    assert client.networks.list(filters=ours) == []
