"""Scope ``host``: a Postfix that is a gateway and nothing else; everything is in main.cf."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gatepost_core.postfix import forwarding, routes, subjects
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

PORTS = (25, 587, 2525, 465)


def main_cf(settings: Settings, bounce_domains: Iterable[str]) -> Iterator[Parameter]:
    """Yield the parameters of the whole host."""
    yield Parameter(
        "compatibility_level",
        "3.6",
        "Postfix's defaults as of 3.6, or later; without it, its oldest ones hold (no SMTPUTF8, chroot by "
        "default).",
        "at_least",
    )
    for rows in (
        _general(settings),
        subjects.queue_ids(settings),
        subjects.queue(settings),
        _certificate(settings),
        subjects.tls(settings),
        subjects.login(settings),
        iter([subjects.policy(settings)]),
        subjects.restrictions(settings),
    ):
        yield from parameters(rows)
    domains = list(bounce_domains)
    yield subjects.relay_domains(subjects.domain_list(domains))
    yield from subjects.bounce_transport(settings, domains)
    for rows in (
        subjects.milter(settings),
        _other_mail(settings),
        subjects.addresses(settings),
        subjects.outgoing(settings),
        subjects.hiding(settings),
        subjects.attacks(settings),
    ):
        yield from parameters(rows)


def master_cf(settings: Settings) -> Iterator[Service]:
    """Yield a service a port, and a cleanup(8) of their own when the client's address is hidden."""
    hidden = parameters(_hidden(settings))
    for port in settings.postfix.ports or PORTS:
        rows = list(subjects.client_size(settings))
        role = role_of(port)
        if role != "mx":
            rows += subjects.submission(settings)
        if role == "submissions":
            rows += subjects.wrapped(settings)
        rows += subjects.proxied(settings, port)
        yield Service(service_name(port), role, (*parameters(iter(rows)), *hidden), reason_of(port))
    yield subjects.bounces()
    yield forwarding.service(settings)
    yield from routes.services(settings)
    if hidden:
        yield subjects.cleanup([("header_checks", "$gatepost_header_checks", "Hides the client's address.")])


def _hidden(settings: Settings) -> Rows:
    if settings.postfix.hide_client_address:
        yield "cleanup_service_name", subjects.CLEANUP, "A cleanup of these ports' own, which hides clients."


def _general(settings: Settings) -> Rows:
    yield from subjects.hostname(settings)
    yield "mailbox_size_limit", "0", "local(8) refuses to start when it is below message_size_limit."
    yield "virtual_mailbox_limit", "0", "virtual(8) refuses to start when it is below message_size_limit."


def _certificate(settings: Settings) -> Rows:
    yield "smtpd_tls_cert_file", str(settings.postfix.tls_certificate_file), "The server's certificate chain."
    yield "smtpd_tls_key_file", str(settings.postfix.tls_key_file), "Its private key."


def _other_mail(_: Settings) -> Rows:
    yield "non_smtpd_milters", "", "Mail from this host's own programs has no credential."
    yield "internal_mail_filter_classes", "", "Nor have the bounces that Postfix makes."
