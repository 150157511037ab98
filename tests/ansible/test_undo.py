"""One variable undoes: gateway and client are as they were before, but for Debian's packages and the data."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.ansible.conftest import only
from tests.ansible.play import Played
from tests.ansible.world import PLANS, World


def undo(deployment: World, playbook: str) -> Played:
    return deployment.control.play(playbook, extra={"gatepost_state": "absent"}).passed()


@only(PLANS[0])
def test_a_client_that_had_no_mail_server_has_none_again(deployment: World) -> None:
    """Nothing listens, and no sendmail takes mail that nobody delivers."""
    undo(deployment, "smarthost")
    assert deployment.client.run("ss -ltnH sport = :25").out == ""
    assert deployment.client.run("command -v sendmail", check=False).out == ""


def test_the_gateway_is_gone_and_its_data_stays(deployment: World) -> None:
    undo(deployment, "site")
    gateway = deployment.gateway
    left = "/opt/gatepost /etc/gatepost /usr/local/bin/gatepost /etc/systemd/system/gatepost-*"
    assert gateway.run(f"ls -d {left} 2>/dev/null", check=False).out == ""
    assert "gatepost" not in gateway.run("postconf -n; postconf -M").out
    assert gateway.run("ls /var/lib/gatepost/directory.db").status == 0


def test_the_clients_postfix_knows_nothing_of_the_gateway(deployment: World) -> None:
    wanted = f"grep -rlE '{deployment.gateway.full_name}|gatepost' /etc/postfix"
    assert deployment.client.run(wanted, check=False).out == ""


def test_a_second_undo_changes_nothing(deployment: World) -> None:
    with ThreadPoolExecutor(2) as pool:
        plays = [pool.submit(undo, deployment, playbook) for playbook in ("smarthost", "site")]
        assert [played.result().changed for played in plays] == [[], []]


def test_the_mail_server_that_was_there_is_as_before_and_the_gateway_boots(deployment: World) -> None:
    deployment.house.as_before()
    deployment.gateway.reboot()
