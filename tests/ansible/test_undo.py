"""One variable undoes: gateway and client are as they were before, but for Debian's packages and the data."""

from __future__ import annotations

from tests.ansible.conftest import only
from tests.ansible.world import PLANS, World

UNDO = {"gatepost_state": "absent"}


def test_the_client_is_as_before_and_a_second_undo_changes_nothing(deployment: World) -> None:
    deployment.control.play("smarthost", extra=UNDO).passed()
    assert deployment.control.play("smarthost", extra=UNDO).passed().changed == []
    left = deployment.client.run(
        f"grep -rlE '{deployment.gateway.full_name}|gatepost' /etc/postfix", check=False
    )
    assert left.out == ""


@only(PLANS[0])
def test_a_client_that_had_no_mail_server_has_none_again(deployment: World) -> None:
    """Nothing listens, and no sendmail takes mail that nobody delivers."""
    assert deployment.client.run("ss -ltnH sport = :25").out == ""
    assert deployment.client.run("command -v sendmail", check=False).out == ""


@only(PLANS[1])
def test_the_clients_hand_made_files_are_as_before_byte_for_byte(deployment: World) -> None:
    for path, content in deployment.client_before.items():
        assert deployment.client.get(path) == content
    assert "0.0.0.0:25" in deployment.client.run("ss -ltnH sport = :25").out


def test_the_gateway_is_gone_and_its_data_stays(deployment: World) -> None:
    deployment.control.play("site", extra=UNDO).passed()
    assert deployment.control.play("site", extra=UNDO).passed().changed == []
    gateway = deployment.gateway
    left = "/opt/gatepost /etc/gatepost /usr/local/bin/gatepost /etc/systemd/system/gatepost-*"
    assert gateway.run(f"ls -d {left} 2>/dev/null", check=False).out == ""
    assert "gatepost" not in gateway.run("postconf -n; postconf -M").out
    assert gateway.run("ls /var/lib/gatepost/directory.db").status == 0
    gateway.reboot()
