"""What a main.cf made by hand says for other mail ends at our ports: every parameter is thought of."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from gatepost_core.postfix import isolation, main_cf, master_cf, shared
from gatepost_core.settings import load

PROGRAMS = Path("/usr/lib/postfix/sbin")
# Not set on the ports although smtpd(8) or cleanup(8) reads them, and why that is right.
LEFT = {
    "only restrictions that the ports do not have ask them": """
        access_map_defer_code access_map_reject_code address_verify_poll_count address_verify_poll_delay
        address_verify_sender address_verify_sender_ttl default_rbl_reply invalid_hostname_reject_code
        maps_rbl_domains maps_rbl_reject_code multi_recipient_bounce_reject_code permit_mx_backup_networks
        plaintext_reject_code rbl_reply_maps relay_clientcerts relay_domains_reject_code
        smtpd_dns_reply_filter smtpd_expansion_filter smtpd_null_access_lookup_key
        smtpd_relay_before_recipient_restrictions smtpd_restriction_classes smtpd_sender_login_maps
        unknown_address_reject_code unknown_address_tempfail_action unknown_client_reject_code
        unknown_helo_hostname_tempfail_action unknown_hostname_reject_code unverified_recipient_defer_code
        unverified_recipient_reject_code unverified_recipient_reject_reason
        unverified_recipient_tempfail_action unverified_sender_defer_code unverified_sender_reject_code
        unverified_sender_reject_reason unverified_sender_tempfail_action
        smtpd_forbid_bare_newline_reject_code smtpd_reject_filter_maps""",
    "who has a mailbox here, and what it is called, is the host's to say, whoever writes": """
        duplicate_filter_limit empty_address_recipient local_recipient_maps propagate_unmatched_extensions
        recipient_canonical_maps relay_recipient_maps sender_canonical_maps show_user_unknown_table_name
        unknown_local_recipient_reject_code unknown_relay_recipient_reject_code
        unknown_virtual_alias_reject_code unknown_virtual_mailbox_reject_code
        virtual_alias_address_length_limit virtual_alias_expansion_limit virtual_alias_maps
        virtual_alias_recursion_limit virtual_mailbox_maps""",
    "how long to wait and how much to take is a matter of the host as a whole": """
        compatibility_level hopcount_limit inet_protocols mail_owner queue_file_attribute_count_limit
        queue_minfree
        smtpd_client_event_limit_exceptions smtpd_client_ipv4_prefix_length
        smtpd_client_ipv6_prefix_length smtpd_history_flush_threshold smtpd_min_data_rate
        smtpd_per_record_deadline smtpd_per_request_deadline smtpd_sasl_response_limit smtpd_starttls_timeout
        smtpd_timeout smtpd_upstream_proxy_timeout stress""",
    "what the host tells and logs, at every port alike": """
        bounce_notice_recipient error_notice_recipient header_from_format smtpd_banner
        smtpd_client_port_logging smtpd_peername_lookup smtpd_tls_received_header smtpd_hide_client_session
        smtpd_log_access_permit_actions""",
    "they change nothing for a client that logs in": """
        body_checks_size_limit detect_8bit_encoding_header disable_verp_bounces masquerade_classes
        masquerade_exceptions sender_canonical_classes smtpd_delay_open_until_valid_rcpt
        smtpd_forbidden_commands smtpd_helo_required smtpd_proxy_ehlo smtpd_proxy_options smtpd_proxy_timeout
        non_smtpd_milters smtpd_enforce_tls smtpd_use_tls cyrus_sasl_config_path delay_warning_time
        full_name_encoding_charset cleanup_replace_stray_cr_lf force_mime_input_conversion""",
    "which ciphers are good enough is the host's to say": """
        smtpd_tls_always_issue_session_ids smtpd_tls_ccert_verifydepth smtpd_tls_CAfile smtpd_tls_CApath
        smtpd_tls_ciphers smtpd_tls_dh1024_param_file smtpd_tls_dh512_param_file smtpd_tls_eecdh_grade
        smtpd_tls_exclude_ciphers smtpd_tls_fingerprint_digest smtpd_tls_mandatory_ciphers
        smtpd_tls_mandatory_exclude_ciphers smtpd_tls_enable_rpk""",
}
# Named with their beginnings: macros that the milter does not ask for, the time of policy's connection.
BEGINNINGS = ("milter_", "smtpd_policy_service_")


def known_to(program: str) -> set[str]:
    """Return the parameters whose names stand in a program of the Postfix installed."""
    text = (PROGRAMS / program).read_bytes()
    words = {word.decode() for word in re.findall(rb"\0([A-Za-z0-9_]{5,})(?=\0)", text)}
    done = subprocess.run(["/usr/sbin/postconf", "-d"], capture_output=True, text=True, check=True)
    return words & {line.split(" =")[0] for line in done.stdout.splitlines()}


@pytest.mark.parametrize("program", ["smtpd", "cleanup"])
def test_each_parameter_that_the_program_reads_is_answered_or_left_to_the_host(program: str) -> None:
    *ports, cleanup = master_cf(load(environ={}))
    left = {name for names in LEFT.values() for name in names.split()} | set(shared.names())
    for service in [cleanup] if program == "cleanup" else ports:
        options = {option.name for option in service.options}
        # What smtpd(8) sets of the milters it hands to cleanup(8) with the message.
        unknown = {name for name in known_to(program) - options - left if not name.startswith(BEGINNINGS)}
        assert sorted(unknown) == []


def test_what_is_answered_is_known_to_the_postfix_installed(tmp_path: Path) -> None:
    rows = [(f"a{number}", rows) for number, rows in enumerate((isolation.smtpd(), isolation.cleanup()))]
    entries = [
        f"{name} unix n - n - 0 smtpd\n" + "".join(f"  -o {{ {one} = {value} }}\n" for one, value, _ in found)
        for name, found in rows
    ]
    (tmp_path / "main.cf").write_text("compatibility_level = 3.6\n")
    (tmp_path / "master.cf").write_text("".join(entries))
    done = subprocess.run(
        ["/usr/sbin/postconf", "-c", str(tmp_path), "-P"], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


def test_a_shared_parameter_is_named_only_when_it_is_not_as_usual() -> None:
    assert shared.looked({}) == []
    said = {
        "always_bcc": "archive@house.example",
        "soft_bounce": "no",
        "default_transport": "error:local only",
    }
    found = shared.looked({**said, "inet_interfaces": "127.0.0.1, [::1]"})
    assert [(one.name, one.stops) for one in found] == [
        ("always_bcc", False),
        ("default_transport", True),
        ("inet_interfaces", False),
    ]


@pytest.mark.parametrize(
    ("lifetime", "short"),
    [("5d", False), ("5", False), ("120h", False), ("1w", False), ("4d", True), ("7140m", True), ("0", True)],
)
def test_a_queue_that_gives_up_before_a_late_message_had_its_time_is_named(
    lifetime: str, short: bool
) -> None:
    found = shared.looked({"maximal_queue_lifetime": lifetime}, hours_ahead=60.0)
    assert [(one.name, one.value) for one in found] == [("maximal_queue_lifetime", lifetime)] * short


def test_long_queue_ids_are_the_whole_queue_s() -> None:
    settings = load(environ={})
    assert "enable_long_queue_ids" in {one.name for one in main_cf(settings, ())}
    for service in master_cf(settings):
        assert "enable_long_queue_ids" not in {option.name for option in service.options}
