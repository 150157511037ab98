"""Missing or wrong variables stop a play before it changes anything, with a text that names the variable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.ansible.conftest import only
from tests.ansible.hosts import Host
from tests.ansible.play import Control, Played
from tests.ansible.world import PLANS, World

pytestmark = only(PLANS[0])

WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("site", {"gateway_wheelhouse": ""}, "gateway_wheelhouse"),
    ("site", {"gateway_version": "9.9.9"}, "gateway_version is"),
    ("site", {"gateway_keep_releases": 1}, "gateway_keep_releases is 1"),
    ("site", {"gateway_settings": {"milter": {"wrokers": 2}}}, "wrokers"),
    ("site", {"postfix_tls_mode": "magic"}, "postfix_tls_mode"),
    ("site", {"postfix_ports": [70000]}, "postfix_ports"),
    ("site", {"postfix_ports": [587, 10026]}, "10026"),
    ("site", {"postfix_proxy_ports": [25]}, "postfix_proxy_ports: [25]; expected some of postfix_ports"),
    ("smarthost", {"smarthost_client_gateway": ""}, "smarthost_client_gateway"),
    ("smarthost", {"smarthost_client_features": ["inlinescc"]}, "inlinescc"),
]


@dataclass(frozen=True, slots=True)
class Refused:
    """What each playbook said, and which files are newer than before."""

    plays: dict[str, Played]
    newer: list[str]


def named(at: int) -> str:
    return f"{WRONG[at][0]}-{at}"


@pytest.fixture(scope="module")
def refused(deployment: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Refused]:
    """One play of each playbook: the inventory has the host once for every wrong variable."""
    hosts = {"site": deployment.gateway, "smarthost": deployment.client}
    groups = {
        group: [
            replace(hosts[playbook], name=named(at)) for at, case in enumerate(WRONG) if case[0] == playbook
        ]
        for playbook, group in (("site", "gatepost_gateways"), ("smarthost", "gatepost_clients"))
    }
    control = Control(tmp_path_factory.mktemp("control-refused"), groups)
    control.variables("gatepost_gateways", deployment.gateway_variables())
    control.variables("gatepost_clients", deployment.client_variables(smarthost_client_ca_file=""))
    for at, (_, wrong, _) in enumerate(WRONG):
        control.variables(named(at), wrong, of="host")
    for host in hosts.values():
        host.run("touch /var/tmp/before")
    try:
        plays = {playbook: control.play(playbook).refused() for playbook in hosts}
        yield Refused(plays, [line for host in hosts.values() for line in newer(host)])
    finally:
        control.close()


def newer(host: Host) -> list[str]:
    found = "find /etc /opt /var/lib/gatepost /var/lib/gatepost-deploy -newer /var/tmp/before -type f"
    return host.run(f"{found} 2>/dev/null | grep -v -e '-shm$' -e '-wal$'", check=False).out.splitlines()


@pytest.mark.parametrize("at", range(len(WRONG)), ids=[next(iter(case[1])) for case in WRONG])
def test_a_wrong_variable_is_named(refused: Refused, at: int) -> None:
    played = refused.plays[WRONG[at][0]]
    said = [line for line in played.text.splitlines() if line.startswith(("fatal", "failed"))]
    assert WRONG[at][2] in " ".join(line for line in said if f"[{named(at)}" in line)
    assert played.recap[named(at)]["failed"] == 1


def test_nothing_changes(refused: Refused) -> None:
    assert [played.changed for played in refused.plays.values()] == [[], []]
    assert refused.newer == []
