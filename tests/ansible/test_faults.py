"""`gatepost doctor` on a real gateway: all is well, and then it names each fault that is made, exit 5."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.ansible.conftest import only
from tests.ansible.world import PLANS, World
from tests.waiting import until

pytestmark = only(PLANS[0])

SOCKETS = "/var/spool/postfix/gatepost"


def doctor(deployment: World) -> tuple[int, list[str]]:
    """The exit status, and each fault as one line: check, looked at, found."""
    done = deployment.gateway.run("gatepost doctor --json", check=False)
    findings: list[dict[str, Any]] = json.loads(done.out)["findings"]
    faults = [one for one in findings if one["status"] == "fault"]
    return done.status, [f"{one['check']}: {one['looked_at']}: {one['found']}" for one in faults]


def by_commands(make: str, mend: str) -> Callable[[World], Any]:
    @contextmanager
    def fault(deployment: World) -> Iterator[None]:
        deployment.gateway.run(make)
        try:
            yield
        finally:
            deployment.gateway.run(mend)

    return fault


@contextmanager
def expired_certificate(deployment: World) -> Iterator[None]:
    """The certificate that the ports present has ended."""
    host = deployment.gateway
    effective = json.loads(host.run("gatepost settings --json").out)
    path = effective["postfix.tls_certificate_file"]["value"]
    before = host.get(path)
    host.put(path, deployment.authority.expired(before))
    try:
        yield
    finally:
        host.put(path, before)
        # An smtpd that waits for its next client goes on with the certificate that it has read.
        host.run("postfix reload")
        until(lambda: doctor(deployment) == (0, []), "every smtpd presents the certificate that is in force")


@contextmanager
def missing_records(deployment: World) -> Iterator[None]:
    """The sender domain's records are not published."""
    deployment.receiver.publish([])
    try:
        yield
    finally:
        deployment.publish()


FAULTS: dict[str, tuple[Callable[[World], Any], str]] = {
    "mode of a socket": (by_commands(f"chmod 600 {SOCKETS}/policy", f"chmod 660 {SOCKETS}/policy"), "policy"),
    "stopped daemon": (
        by_commands("systemctl stop gatepost-milter", "systemctl start gatepost-milter"),
        "milter",
    ),
    "stopped daemon that takes the spool": (
        by_commands(
            "systemctl stop gatepost-events.socket gatepost-events.service",
            "systemctl start gatepost-events.socket gatepost-events.service",
        ),
        "gatepost-events.service: inactive",
    ),
    "mode of the spool": (
        by_commands("chmod 757 /var/lib/gatepost/spool", "chmod 750 /var/lib/gatepost/spool"),
        "spool: /var/lib/gatepost/spool",
    ),
    "parameter of main.cf": (
        by_commands("postconf -e gatepost_milters=", "postconf -e gatepost_milters=unix:gatepost/milter"),
        "gatepost_milters",
    ),
    "owner of the keys": (
        by_commands("chown -R nobody /var/lib/gatepost/keys", "chown -R gatepost /var/lib/gatepost/keys"),
        "/var/lib/gatepost/keys",
    ),
    "expired certificate": (expired_certificate, "certificate"),
    "missing DNS records": (missing_records, "dns"),
}


def test_on_a_converged_gateway_nothing_is_to_be_mended(deployment: World) -> None:
    assert doctor(deployment) == (0, [])


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_and_gone_when_it_is_mended(deployment: World, name: str) -> None:
    make, named = FAULTS[name]
    with make(deployment):
        status, faults = doctor(deployment)
    assert status == 5
    assert any(named in fault for fault in faults), faults
    assert doctor(deployment) == (0, [])
