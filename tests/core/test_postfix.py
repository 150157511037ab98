"""The Postfix settings: known to the Postfix that is installed, and complete."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gatepost_core.postfix import Parameter, Service, destination, endpoint, main_cf, master_cf
from gatepost_core.settings import Settings, load

DOMAINS = ("bounces.example.test", "b.example.org")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    overrides = {"postfix.scope": "host", "postfix.hostname": "mx.example.test"}
    overrides["postfix.queue_directory"] = str(tmp_path / "queue")
    overrides.update(
        {f"{name}.listen": f"unix:{tmp_path}/queue/gatepost/{name}" for name in ("sasl", "policy")}
    )
    overrides["milter.listen"] = f"unix:{tmp_path}/queue/gatepost/milter"
    return load(overrides=overrides, environ={})


def values(settings: Settings) -> dict[str, str]:
    return {parameter.name: parameter.value for parameter in main_cf(settings, DOMAINS)}


def postconf(tmp_path: Path, main: list[str], master: list[str], *options: str) -> tuple[str, str]:
    (tmp_path / "main.cf").write_text("\n".join(main) + "\n")
    (tmp_path / "master.cf").write_text("\n".join(master) + "\n")
    run = subprocess.run(
        ["/usr/sbin/postconf", "-c", str(tmp_path), *options], capture_output=True, text=True, check=True
    )
    return run.stdout, run.stderr


def test_the_installed_postfix_knows_every_parameter(settings: Settings, tmp_path: Path) -> None:
    main = [parameter.line for parameter in main_cf(settings, DOMAINS)]
    services = [service.entry for service in master_cf(settings)]
    for options in (["-n"], ["-P"], ["-M"]):
        out, err = postconf(tmp_path, main, services, *options)
        assert err == ""
        assert out


def test_each_route_is_a_service_and_the_installed_postfix_reads_it_back(tmp_path: Path) -> None:
    (tmp_path / "gatepost.toml").write_text(
        "[routes.bulk]\nbind_address = '2001:db8::7'\nhelo_name = 'bulk.example.com'\n"
        "[routes.partner]\nnext_hop = '[smtp.example]:587'\ntls = 'secure'\n"
        "login_file = '/etc/postfix/login'\n"
    )
    for scope in ("host", "ports"):
        settings = load(tmp_path / "gatepost.toml", {"postfix.scope": scope}, {})
        services = [one for one in master_cf(settings) if one.role == "route"]
        assert [one.name for one in services] == ["gatepost-route-bulk", "gatepost-route-partner"]
        out, err = postconf(tmp_path, [], [one.entry for one in services], "-P")
        assert err == ""
        read = dict(line.split(" = ", 1) for line in out.splitlines())
        assert read["gatepost-route-bulk/unix/smtp_bind_address6"] == "2001:db8::7"
        assert read["gatepost-route-bulk/unix/smtp_sasl_auth_enable"] == "no"
        assert read["gatepost-route-partner/unix/smtp_tls_security_level"] == "secure"
        maps = "gatepost-route-partner/unix/smtp_sasl_password_maps"
        assert read[maps] == "texthash:/etc/postfix/login"
        assert [destination(name, one) for name, one in settings.routes.items()] == [
            "gatepost-route-bulk:",
            "gatepost-route-partner:[smtp.example]:587",
        ]


def test_a_misspelt_parameter_would_be_noticed(tmp_path: Path) -> None:
    _, err = postconf(tmp_path, ["smtpd_tls_auth_onyl = yes"], [], "-n")
    assert "smtpd_tls_auth_onyl" in err


def test_postfix_reads_each_value_back_as_it_was_meant(settings: Settings, tmp_path: Path) -> None:
    main = main_cf(settings, DOMAINS)
    services = master_cf(settings)
    out, _ = postconf(
        tmp_path, [parameter.line for parameter in main], [service.entry for service in services], "-n"
    )
    read = dict(line.split(" =", 1) for line in out.splitlines())
    read.pop("config_directory", None)  # printed by 3.7, no more by 3.10
    assert {name: " ".join(value.split()) for name, value in read.items()} == {
        parameter.name: parameter.value for parameter in main
    }
    options, _ = postconf(tmp_path, [p.line for p in main], [s.entry for s in services], "-P")
    expected = {
        f"{service.name}/{service.type}/{option.name} = {option.value}".rstrip()
        for service in services
        for option in service.options
    }
    assert set(options.splitlines()) == expected


def test_every_parameter_has_a_reason_and_is_named_once(settings: Settings) -> None:
    rows: list[Parameter] = main_cf(settings, DOMAINS)
    rows_of_services = [option for service in master_cf(settings) for option in service.options]
    assert all(len(row.reason) > 10 for row in [*rows, *rows_of_services])
    assert len({row.name for row in rows}) == len(rows)


def ports(settings: Settings) -> list[Service]:
    """Return the services that clients connect to."""
    return [service for service in master_cf(settings) if service.type == "inet"]


def test_the_bounce_domains_mail_and_no_other_goes_to_gatepost_bounces(settings: Settings) -> None:
    found = values(settings)
    assert found["transport_maps"] == "$gatepost_transport"
    table = found["gatepost_transport"].removeprefix("inline:{").removesuffix("}").split(",")
    assert [one.strip().partition("=")[0] for one in table] == sorted(DOMAINS)
    assert {one.partition("=")[2].strip() for one in table} == {
        f"gatepost-bounces:{endpoint(settings.bounces.listen, settings.postfix.queue_directory)}"
    }
    assert found["gatepost-bounces_destination_recipient_limit"] == "1"
    assert "transport_maps" not in {one.name for one in main_cf(settings, ())}


def test_edits_have_head_room_above_what_a_client_may_send(settings: Settings) -> None:
    limit = settings.postfix.message_size_limit
    assert int(values(settings)["message_size_limit"]) >= 2 * limit
    for service in ports(settings):
        assert ("message_size_limit", str(limit)) in {(o.name, o.value) for o in service.options}


def test_every_port_but_the_one_for_bounces_demands_tls_and_a_login(settings: Settings) -> None:
    for service in ports(settings):
        options = {option.name: option.value for option in service.options}
        if service.role != "mx":
            assert options["smtpd_tls_security_level"] == "encrypt"
            assert options["smtpd_relay_restrictions"].endswith("permit_sasl_authenticated, reject")
        assert ("smtpd_tls_wrappermode" in options) == (service.role == "submissions")
    assert values(settings)["smtpd_tls_auth_only"] == "yes"


def test_policy_is_asked_before_postfix_refuses_by_itself(settings: Settings) -> None:
    first, *others = values(settings)["smtpd_relay_restrictions"].split(", ")
    assert first == "$gatepost_policy"
    assert others == ["reject_non_fqdn_recipient", "permit_sasl_authenticated", "reject_unauth_destination"]


def test_bounce_domains_are_relay_domains(settings: Settings) -> None:
    assert values(settings)["relay_domains"] == "b.example.org, bounces.example.test"


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("unix:/var/spool/postfix/gatepost/sasl", "unix:gatepost/sasl"),
        ("unix:/run/gatepost/sasl", "unix:/run/gatepost/sasl"),
        ("inet:127.0.0.1:12345", "inet:127.0.0.1:12345"),
    ],
)
def test_a_socket_below_the_queue_directory_is_named_relative_to_it(listen: str, expected: str) -> None:
    assert endpoint(listen, Path("/var/spool/postfix")) == expected


def test_a_host_that_hides_its_clients_does_so_in_a_cleanup_of_the_ports_own(tmp_path: Path) -> None:
    settings = load(overrides={"postfix.scope": "host", "postfix.hide_client_address": "true"}, environ={})
    main, services = main_cf(settings, DOMAINS), master_cf(settings)
    out, err = postconf(tmp_path, [one.line for one in main], [one.entry for one in services], "-P")
    assert err == ""
    assert "gatepost-cleanup/unix/header_checks = $gatepost_header_checks" in out.splitlines()
    assert out.count("/inet/cleanup_service_name = gatepost-cleanup") == len(services) - 3


def test_only_the_ports_that_are_named_are_served() -> None:
    settings = load(overrides={"postfix.scope": "host", "postfix.ports": "587,10587"}, environ={})
    assert [(one.name, one.role) for one in master_cf(settings)] == [
        ("submission", "submission"),
        ("10587", "submission"),
        ("gatepost-bounces", "transport"),
        ("gatepost-forward", "forward"),
    ]
