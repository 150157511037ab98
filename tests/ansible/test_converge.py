"""From bare images: both plays succeed, a second run changes nothing, check mode tells the truth."""

from __future__ import annotations

import pytest

from tests.ansible.world import AGENCY, SENDER_DOMAIN, World

AGAIN = ("site again", "smarthost again", "site check", "smarthost check")


@pytest.mark.parametrize("run", ["bare check", "bare client check"])
def test_check_mode_on_a_bare_host_does_not_fail(deployment: World, run: str) -> None:
    deployment.runs[run].passed()


def test_check_mode_on_a_bare_host_leaves_nothing_there(deployment: World) -> None:
    assert deployment.left_by_check == ""


@pytest.mark.parametrize("run", AGAIN)
def test_a_converged_host_is_reported_unchanged(deployment: World, run: str) -> None:
    played = deployment.runs[run].passed()
    assert played.changed == []
    assert {counts["changed"] for counts in played.recap.values()} == {0}
    assert all(counts["ok"] > 5 for counts in played.recap.values())


def test_the_first_play_ends_with_the_records_to_publish(deployment: World) -> None:
    told = deployment.runs["site"].passed().text
    assert "WARNING: gatepost doctor misses what only you can publish" in told
    shown = deployment.gatepost(f"domain show {SENDER_DOMAIN}")
    assert all(one["name"] in told for one in shown["dns"])
    assert "_domainkey" in told
    assert "WARNING" not in deployment.runs["site again"].text


def test_a_sender_domain_is_shared_with_the_accounts_that_the_variables_name(deployment: World) -> None:
    assert deployment.gatepost(f"domain show {SENDER_DOMAIN}")["grants"] == [AGENCY]


def test_every_unit_of_the_gateway_runs(deployment: World) -> None:
    deployment.gateway.wait_running()
    for unit in (
        "gatepost-events",
        "gatepost-hold",
        "gatepost-sasl",
        "gatepost-policy",
        "gatepost-milter",
        "gatepost-bounces",
        "gatepost-tracker",
        "gatepost-dashboard",
    ):
        assert deployment.gateway.run(f"systemctl is-active {unit}").out.strip() == "active"
        assert deployment.gateway.run(f"systemctl is-enabled {unit}", check=False).out.strip() == "enabled"


def test_submission_listens_and_a_client_that_had_no_postfix_is_on_loopback_only(deployment: World) -> None:
    listening = deployment.gateway.run("ss -ltnH").out
    for port in (587, 465, 2525):
        assert f":{port} " in listening
    smtp = {line.split()[3] for line in deployment.client.run("ss -ltnH sport = :25").out.splitlines()}
    assert smtp
    # One that was there before listens as it did: others bring mail to it.
    assert smtp <= {"127.0.0.1:25", "[::1]:25"} or (
        deployment.plan.house == "client" and "0.0.0.0:25" in smtp
    )


def test_the_clients_password_is_readable_by_root_alone_and_never_printed(deployment: World) -> None:
    line = deployment.client.run(r"grep -rhs '^\[gateway' /etc/postfix --include='*' | head -1").out
    password = line.strip().rpartition(":")[2]
    assert len(password) > 20
    holders = deployment.client.run(f"grep -rlF {password} /etc").out.split()
    for path in holders:
        assert deployment.client.run(f"stat -c '%a %U' {path}").out.strip() == "600 root"
    assert not [name for name, played in deployment.runs.items() if password in played.text]
