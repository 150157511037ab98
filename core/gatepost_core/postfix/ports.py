"""Scope ``ports``: services added to a Postfix that has other work, which goes on as before.

All that smtpd(8) and cleanup(8) read is an option of services of our own; what the host's main.cf
says for its own port 25 (restrictions, milters, content filters, size limits) is answered by an
option here (``isolation``), so that it does not reach ours either. Values that are long, or that a
person looks for, stand in main.cf under names of our own. Only what processes of the whole queue
read is set in main.cf under its usual name. With ``postfix.bounces_by_host`` that port 25 takes the
bounce domains' mail beside its own, and asks gatepost-policy about their recipients.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gatepost_core.postfix import forwarding, isolation, routes, subjects
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


def main_cf(settings: Settings, bounce_domains: Iterable[str]) -> Iterator[Parameter]:
    """Yield parameters of our own, and the few that the whole queue shares."""
    for name, value, reason in _smtpd(settings):
        if name in _NAMED:
            yield Parameter(_NAMED[name], value, f"For {name} in master.cf. {reason}")
    yield from parameters(iter([subjects.policy(settings)]))
    yield from parameters(subjects.hiding(settings))
    yield from parameters(subjects.queue_ids(settings))
    if not settings.dkim.encode_8bit:
        yield from parameters(subjects.outgoing(settings))
    if _bounces(settings):
        names = list(bounce_domains)
        domains = subjects.domain_list(names)
        yield Parameter("gatepost_bounce_domains", domains, "The bounce domains, for relay_domains.")
        yield subjects.relay_domains("$gatepost_bounce_domains")
        yield from subjects.bounce_transport(settings, names)
        if 25 not in _ports(settings):
            yield from subjects.bounce_checks(names)


def master_cf(settings: Settings) -> Iterator[Service]:
    """Yield a service a port, and the cleanup(8) behind them."""
    for port in _ports(settings):
        rows = {name: (value, reason) for name, value, reason in _options(settings, port)}
        options = tuple(Parameter(name, value, reason) for name, (value, reason) in rows.items())
        yield Service(service_name(port), role_of(port), options, reason_of(port))
    if _bounces(settings):
        yield subjects.bounces()
        yield forwarding.service(settings)
    yield from routes.services(settings)
    yield subjects.cleanup(_cleanup(settings))


def _ports(settings: Settings) -> tuple[int, ...]:
    return settings.postfix.ports or PORTS


def _bounces(settings: Settings) -> bool:
    """Say whether the bounce domains' mail comes in: by a port 25 of ours, or by the host's own."""
    return 25 in _ports(settings) or settings.postfix.bounces_by_host


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
    yield from isolation.smtpd()


def _cleanup(settings: Settings) -> Rows:
    yield "syslog_name", "postfix/gatepost", "As for the ports that it serves."
    yield from subjects.hostname(settings)
    yield from subjects.queue(settings)
    hidden = settings.postfix.hide_client_address
    yield (
        "header_checks",
        "$gatepost_header_checks" if hidden else "",
        "Hides the client's address." if hidden else isolation.NOT_OURS,
    )
    yield from isolation.cleanup()
