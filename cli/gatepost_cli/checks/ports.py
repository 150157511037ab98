"""Each port that clients use, asked as a client asks: greeting, STARTTLS, certificate, AUTH on offer."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator

from cryptography import x509

from gatepost_cli import smtp
from gatepost_cli.checks.base import Context, Finding, fault, good, note
from gatepost_cli.checks.certificate import in_time
from gatepost_cli.checks.services import endpoint, entries, serving
from gatepost_cli.checks.tls import chain, no_trust, own_trust, public_trust, said
from gatepost_core.postfix import Service, master_cf

_RELOAD = "run 'postfix reload': smtpd goes on with the certificate that it read"


def ports(context: Context) -> Iterator[Finding]:
    """Ask each port of master.cf that is wanted; one that is missing there is another check's finding."""
    listed = entries(context)
    asked: set[tuple[str, int]] = set()
    for service in master_cf(context.settings):
        entry = serving(service, listed)
        if service.type != "inet" or entry is None:
            continue
        address = endpoint(context, entry)
        if address not in asked:
            yield from _Port(context, service, *address, proxied=entry.proxied).findings(first=not asked)
            asked.add(address)


class _Port:
    """One port: its sessions, and what they find."""

    def __init__(self, context: Context, service: Service, host: str, port: int, *, proxied: bool) -> None:
        self._context = context
        self._proxied = proxied
        self._service = service
        self._address = host, port
        self._where = f"{host}:{port}" if ":" not in host else f"[{host}]:{port}"

    def findings(self, *, first: bool) -> Iterator[Finding]:
        """Look without trust first: what is presented, and what is on offer; then verify it.

        Whether the public trusts it is told at the ``first`` port only: all have the same certificate.
        """
        try:
            der, offered = self._session(no_trust(), self._offers)
        except (smtp.Refused, OSError) as error:
            yield self._silent(error)
            return
        certificate = x509.load_der_x509_certificate(der)
        yield from offered
        yield self._same(certificate)
        yield in_time(self._context, f"{self._where}, certificate", certificate)
        verified = self._verified()
        yield verified
        if first and verified.status == "good":
            yield self._trusted()

    def _session(
        self, trust: ssl.SSLContext, look: Callable[[smtp.Client, dict[str, str]], list[Finding]]
    ) -> tuple[bytes, list[Finding]]:
        """Return the certificate presented, and what ``look`` finds inside TLS; it gets EHLO before."""
        hostname = self._context.hostname
        timeout = self._context.settings.doctor.timeout
        with smtp.connect(*self._address, timeout, proxied=self._proxied) as client:
            before: dict[str, str] = {}
            if self._service.role == "submissions":
                certificate = client.encrypt(trust, hostname)
                client.greeting()
            else:
                client.greeting()
                before = client.hello(hostname)
                client.command("STARTTLS", 220)
                certificate = client.encrypt(trust, hostname)
            found = look(client, before)
            client.command("QUIT", 221)
            return certificate, found

    def _offers(self, client: smtp.Client, before: dict[str, str]) -> list[Finding]:
        mechanisms = set(client.hello(self._context.hostname).get("AUTH", "").split())
        wanted, where = set(self._context.settings.sasl.mechanisms), f"{self._where}, AUTH"
        offered = f"on offer inside TLS: {' '.join(sorted(mechanisms)) or 'nothing'}"
        advice = "look at the checks of sasl-socket and of smtpd_sasl_ in main.cf and master.cf"
        inside = fault(where, offered, " ".join(sorted(wanted)), advice)
        found = [good(where, offered) if wanted <= mechanisms else inside]
        if "AUTH" in before:
            advice = "set smtpd_tls_auth_only = yes, as 'gatepost postfix-settings' prints it"
            outside = "AUTH on offer before STARTTLS"
            found.insert(0, fault(f"{self._where}, EHLO", outside, "AUTH inside TLS only", advice))
        return found

    def _silent(self, error: Exception) -> Finding:
        advice = "look whether Postfix runs and what its log says of this port; run 'postfix start'"
        if isinstance(error, TimeoutError):
            advice = (
                "look at Postfix's log: master(8) holds back a port for a minute when smtpd cannot reach "
                "gatepost-sasl"
            )
        if isinstance(error, ssl.SSLError):
            advice = "look at smtpd_tls_ in main.cf and master.cf, and whether Postfix can read the key"
        return fault(self._where, f"no session: {said(error)}", "a greeting, then TLS", advice)

    def _same(self, presented: x509.Certificate) -> Finding:
        file = self._context.settings.postfix.tls_certificate_file
        where = f"{self._where}, certificate"
        try:
            same = chain(self._context)[0] == presented
        except (OSError, ValueError):  # the file's own check says so
            return note(where, "cannot be compared", f"the first one of {file}", "mend that file first")
        if same:
            return good(where, f"that of {file}")
        return fault(where, "another one than in the file", f"the first one of {file}", _RELOAD)

    def _verified(self) -> Finding:
        where, file = f"{self._where}, chain", self._context.settings.postfix.tls_certificate_file
        try:
            self._session(own_trust(self._context), lambda _client, _before: [])
        except (smtp.Refused, OSError, ValueError) as error:
            expected = f"a chain that leads to the last certificate of {file}, for {self._context.hostname}"
            return fault(where, said(error), expected, f"mend the file, then {_RELOAD}")
        return good(where, f"verified, for {self._context.hostname}")

    def _trusted(self) -> Finding:
        where = f"{self._where}, authority"
        try:
            self._session(public_trust(), lambda _client, _before: [])
        except (smtp.Refused, OSError) as error:
            found = f"this host's authorities do not vouch for it: {said(error)}"
            advice = "give clients the authority's certificate, or get one of a public authority"
            return note(where, found, "a certificate of a public authority, for clients that verify", advice)
        return good(where, "one that this host trusts")
