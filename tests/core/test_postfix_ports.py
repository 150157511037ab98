"""Scope ``ports``: everything of ours under names and services of our own, known to the Postfix installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gatepost_core.postfix import main_cf, master_cf
from gatepost_core.settings import Settings, SettingsError, load

DOMAINS = ("bounces.example.test",)
BOUNCES = "gatepost-bounces_destination"
QUEUE_WIDE = {
    "disable_mime_output_conversion", "enable_long_queue_ids", "relay_domains", "transport_maps",
    f"{BOUNCES}_concurrency_limit", f"{BOUNCES}_recipient_limit",
}  # fmt: skip


def scoped(**postfix: str) -> Settings:
    fields = {f"postfix.{name}": value for name, value in {"scope": "ports", **postfix}.items()}
    return load(overrides=fields, environ={})


EVERYTHING = {"ports": "25,465,587,2525", "hide_client_address": "true", "hostname": "mx.example.test"}


BY_HOST = {"bounces_by_host": "true"}


def read_back(settings: Settings, folder: Path, *options: str) -> dict[str, str]:
    """Write both files, let postconf read them, and hold that it has nothing to remark."""
    (folder / "main.cf").write_text("".join(f"{one.line}\n" for one in main_cf(settings, DOMAINS)))
    (folder / "master.cf").write_text("".join(f"{one.entry}\n" for one in master_cf(settings)))
    command = ["/usr/sbin/postconf", "-c", str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    pairs = (line.split("=", 1) for line in done.stdout.splitlines())
    return {name.strip(): value.strip() for name, value in pairs}


@pytest.mark.parametrize("postfix", [{}, EVERYTHING, {"ports": "10587"}, BY_HOST])
def test_postfix_reads_each_option_back_as_it_was_meant(postfix: dict[str, str], tmp_path: Path) -> None:
    settings = scoped(**postfix)
    expected = {
        f"{service.name}/{service.type}/{option.name}": option.value
        for service in master_cf(settings)
        for option in service.options
    }
    assert read_back(settings, tmp_path, "-P") == expected
    assert read_back(settings, tmp_path, "-n").keys() - {"config_directory"} == {
        one.name for one in main_cf(settings, DOMAINS)
    }


@pytest.mark.parametrize("postfix", [{}, EVERYTHING])
def test_main_cf_holds_nothing_else_under_its_usual_name(postfix: dict[str, str]) -> None:
    usual = {one.name for one in main_cf(scoped(**postfix), DOMAINS) if not one.name.startswith("gatepost_")}
    assert usual <= QUEUE_WIDE


def test_the_host_s_port_25_gets_a_check_of_the_bounce_domains_recipients_and_no_option() -> None:
    more = {one.name: one for one in main_cf(scoped(**BY_HOST), DOMAINS)}
    usual = {name for name in more if not name.startswith("gatepost_")}
    assert usual - QUEUE_WIDE == {"smtpd_relay_restrictions", "smtpd_restriction_classes"}
    assert {more[name].match for name in usual if name.startswith("smtpd_")} == {"include"}
    names = [one.name for one in master_cf(scoped(**BY_HOST))]
    *ports, cleanup = [one.name for one in master_cf(scoped())]
    assert names == [*ports, "gatepost-bounces", "gatepost-forward", cleanup]
    # Without a bounce domain there is nothing to ask about.
    assert {one.name for one in main_cf(scoped(**BY_HOST), ())} & set(more) >= {"relay_domains"}
    assert "smtpd_relay_restrictions" not in {one.name for one in main_cf(scoped(**BY_HOST), ())}


def test_what_takes_reports_adds_nothing_to_them_and_knows_the_null_sender() -> None:
    (service,) = [one for one in master_cf(scoped(**BY_HOST)) if one.role == "forward"]
    options = {one.name: one.value for one in service.options}
    assert options["local_header_rewrite_clients"] == ""
    assert options["smtpd_null_access_lookup_key"] == "<>"
    assert "{ <>=OK }, reject" in options["smtpd_relay_restrictions"]


def test_a_setting_that_encodes_before_signing_leaves_the_queue_s_conversion_alone() -> None:
    settings = load(overrides={"dkim.encode_8bit": "true"}, environ={})
    usual = {one.name for one in main_cf(settings, DOMAINS) if not one.name.startswith("gatepost_")}
    assert usual == {"enable_long_queue_ids"}


def test_every_parameter_of_scope_host_that_smtpd_or_cleanup_reads_is_an_option() -> None:
    queue_wide = {
        "compatibility_level",
        "mailbox_size_limit",
        "virtual_mailbox_limit",
        "non_smtpd_milters",
        "internal_mail_filter_classes",
        "smtpd_tls_cert_file",  # smtpd_tls_chain_files has it
        "smtpd_tls_key_file",
        "gatepost_policy",
        "gatepost_transport",
        *QUEUE_WIDE,
    }
    wanted = {
        one.name for one in main_cf(load(overrides={"postfix.scope": "host"}, environ={}), DOMAINS)
    } - queue_wide
    *ports, cleanup = master_cf(scoped())
    for service in ports:
        assert wanted <= {option.name for option in (*service.options, *cleanup.options)}


def test_only_submission_is_added_unless_port_25_is_named() -> None:
    assert [(one.name, one.role) for one in master_cf(scoped())] == [
        ("submission", "submission"),
        ("2525", "submission"),
        ("submissions", "submissions"),
        ("gatepost-cleanup", "cleanup"),
    ]
    assert [one.role for one in master_cf(scoped(ports="25"))] == ["mx", "transport", "forward", "cleanup"]


def test_every_submission_port_demands_tls_and_a_login() -> None:
    for service in master_cf(scoped(**EVERYTHING)):
        options = {option.name: option.value for option in service.options}
        assert len(options) == len(service.options)
        if service.role in ("submission", "submissions"):
            assert options["smtpd_tls_security_level"] == "encrypt"
            assert options["smtpd_relay_restrictions"].endswith("permit_sasl_authenticated, reject")
            assert (options["smtpd_tls_wrappermode"] == "yes") == (service.role == "submissions")


def test_relay_domains_keeps_what_the_host_has() -> None:
    (row,) = [one for one in main_cf(scoped(ports="25"), DOMAINS) if one.name == "relay_domains"]
    assert (row.match, row.value) == ("include", "$gatepost_bounce_domains")
    assert all(one.name != "relay_domains" for one in main_cf(scoped(), DOMAINS))


def test_milters_stand_in_their_order() -> None:
    settings = scoped(milters_before="inet:127.0.0.1:11332", milters_after="unix:archive/milter")
    (row,) = [one for one in main_cf(settings, DOMAINS) if one.name == "gatepost_milters"]
    assert row.value == "inet:127.0.0.1:11332, unix:gatepost/milter, unix:archive/milter"


@pytest.mark.parametrize("ports", ["587,587", "0", "70000", "smtp"])
def test_ports_that_are_none_are_refused(ports: str) -> None:
    with pytest.raises(SettingsError, match=r"postfix\.ports"):
        scoped(ports=ports)
