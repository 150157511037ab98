"""Missing or wrong variables stop a play before it changes anything, with a text that names the variable."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ansible.conftest import only
from tests.ansible.world import PLANS, World

pytestmark = only(PLANS[0])

WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("site", {"gateway_wheelhouse": ""}, "gateway_wheelhouse"),
    ("site", {"gateway_version": "9.9.9"}, "gateway_version is"),
    ("site", {"gateway_keep_releases": 1}, "gateway_keep_releases is 1"),
    ("site", {"gateway_settings": {"milter": {"wrokers": 2}}}, "wrokers"),
    ("site", {"postfix_tls_mode": "magic"}, "postfix_tls_mode"),
    ("site", {"postfix_ports": [70000]}, "postfix_ports"),
    ("site", {"postfix_proxy_ports": [25]}, "postfix_proxy_ports: [25]; expected some of postfix_ports"),
    ("smarthost", {"smarthost_client_gateway": ""}, "smarthost_client_gateway"),
    ("smarthost", {"smarthost_client_features": ["inlinescc"]}, "inlinescc"),
]


@pytest.mark.parametrize(("playbook", "extra", "named"), WRONG, ids=[next(iter(case[1])) for case in WRONG])
def test_a_wrong_variable_is_named_and_nothing_changes(
    deployment: World, playbook: str, extra: dict[str, Any], named: str
) -> None:
    hosts = (deployment.gateway, deployment.client)
    for host in hosts:
        host.run("touch /var/tmp/before")
    played = deployment.control.play(playbook, extra=extra).refused()
    assert named in played.text
    assert played.changed == []
    for host in hosts:
        newer = "find /etc /opt /var/lib/gatepost /var/lib/gatepost-deploy -newer /var/tmp/before -type f"
        assert host.run(f"{newer} 2>/dev/null | grep -v -e '-shm$' -e '-wal$'", check=False).out == ""
