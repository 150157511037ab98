"""Scope ``ports``: services added to a Postfix that has other work, which goes on as before.

All that smtpd(8) and cleanup(8) read is an option of services of our own; what the host's main.cf
says for its own port 25 (restrictions, milters, content filters, size limits) is answered by an
option here, so that it does not reach ours either. Values that are long, or that a person looks for,
stand in main.cf under names of our own. Only what processes of the whole queue read is set in
main.cf under its usual name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gatepost_core.postfix import subjects
from gatepost_core.postfix.parts import (
    Parameter,
    Rows,
    Service,
    parameters,
    reason_of,
    role_of,
    service_name,
)
from gatepost_core.settings import Settings

PORTS = (587, 2525, 465)
# Options whose value stands in main.cf, under a name of our own.
_NAMED = {
    "smtpd_sasl_path": "gatepost_sasl",
    "smtpd_milters": "gatepost_milters",
    "smtpd_command_filter": "gatepost_command_filter",
    "smtpd_tls_chain_files": "gatepost_tls_chain",
}
_NOT_OURS = "What main.cf says is for this host's other mail."


def main_cf(settings: Settings, bounce_domains: Iterable[str]) -> Iterator[Parameter]:
    """Yield parameters of our own, and the few that the whole queue shares."""
    for name, value, reason in _smtpd(settings):
        if name in _NAMED:
            yield Parameter(_NAMED[name], value, f"For {name} in master.cf. {reason}")
    yield from parameters(iter([subjects.policy(settings)]))
    yield from parameters(subjects.hiding(settings))
    if not settings.dkim.encode_8bit:
        yield from parameters(subjects.outgoing(settings))
    if 25 in _ports(settings):
        domains = subjects.domain_list(bounce_domains)
        yield Parameter("gatepost_bounce_domains", domains, "The bounce domains, for relay_domains.")
        yield subjects.relay_domains("$gatepost_bounce_domains")


def master_cf(settings: Settings) -> Iterator[Service]:
    """Yield a service a port, and the cleanup(8) behind them."""
    for port in _ports(settings):
        rows = {name: (value, reason) for name, value, reason in _options(settings, port)}
        options = tuple(Parameter(name, value, reason) for name, (value, reason) in rows.items())
        yield Service(service_name(port), role_of(port), options, reason_of(port))
    yield subjects.cleanup(_cleanup(settings))


def _ports(settings: Settings) -> tuple[int, ...]:
    return settings.postfix.ports or PORTS


def _options(settings: Settings, port: int) -> Rows:
    """Yield a port's options; a later row of the same name wins."""
    for name, value, reason in _smtpd(settings):
        yield name, f"${_NAMED[name]}" if name in _NAMED else value, reason
    role = role_of(port)
    if role != "mx":
        yield from subjects.submission(settings)
    if role == "submissions":
        yield from subjects.wrapped(settings)
    yield from subjects.proxied(settings, port)


def _smtpd(settings: Settings) -> Rows:
    postfix = settings.postfix
    yield "syslog_name", "postfix/gatepost", "Log lines of these ports can be told from the host's own."
    yield from subjects.hostname(settings)
    yield "cleanup_service_name", subjects.CLEANUP, "A cleanup of our own, with limits of our own."
    yield from subjects.client_size(settings)
    yield (
        "smtpd_tls_chain_files",
        f"{postfix.tls_key_file}, {postfix.tls_certificate_file}",
        "Private key and certificate chain; this parameter outdoes all others that name certificates.",
    )
    yield from subjects.tls(settings)
    yield "smtpd_tls_wrappermode", "no", "STARTTLS."
    yield from subjects.login(settings)
    yield from subjects.restrictions(settings)
    yield from subjects.milter(settings)
    yield from subjects.addresses(settings)
    yield from subjects.attacks(settings)
    yield from _isolation(settings)


def _isolation(_: Settings) -> Rows:
    """Yield what a main.cf may hold for other ports and would change ours: back to Postfix's defaults."""
    for name in (
        "smtpd_client_restrictions",
        "smtpd_helo_restrictions",
        "smtpd_sender_restrictions",
        "smtpd_etrn_restrictions",
    ):
        yield name, "", _NOT_OURS
    yield "smtpd_milter_maps", "", "It would switch the milters off for some clients."
    yield "receive_override_options", "", "no_milters in it would bypass the milter."
    yield "content_filter", "", "A filter after the queue would change signed mail and hand it in again."
    yield "smtpd_proxy_filter", "", "A proxy in front of the queue would take the milter's place."
    yield "smtpd_upstream_proxy_protocol", "", "Clients connect directly."
    yield "smtpd_authorized_xclient_hosts", "", "XCLIENT would let a host log in as anybody."
    yield "smtpd_authorized_xforward_hosts", "", "Nor may a host speak of another's address."
    yield "smtpd_discard_ehlo_keywords", "", "AUTH, STARTTLS and DSN are on offer."
    yield "smtpd_discard_ehlo_keyword_address_maps", "", "To every client."
    yield "smtpd_sasl_exceptions_networks", "", "AUTH is on offer to every client."
    yield "smtpd_sasl_mechanism_filter", "!external, static:rest", "gatepost-sasl says which mechanisms."
    yield "smtpd_tls_req_ccert", "no", "Clients log in by password; a certificate of theirs is not asked for."
    yield "smtpd_tls_ask_ccert", "no", "The same."
    yield "tls_server_sni_maps", "", "One certificate for every name that a client asks for."


def _cleanup(settings: Settings) -> Rows:
    yield "syslog_name", "postfix/gatepost", "As for the ports that it serves."
    yield from subjects.hostname(settings)
    yield from subjects.queue(settings)
    yield "remote_header_rewrite_domain", "", "Header addresses stay as they were sent."
    hidden = settings.postfix.hide_client_address
    yield (
        "header_checks",
        "$gatepost_header_checks" if hidden else "",
        "Hides the client's address." if hidden else _NOT_OURS,
    )
    for name in ("mime_header_checks", "nested_header_checks", "body_checks", "milter_header_checks"):
        yield name, "", _NOT_OURS
