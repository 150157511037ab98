"""The SMTP server's certificate file: chain in order, in time, for this host's name, of the key beside it.

What a port really presents is another check's (``ports``): Postfix may not have read the file again.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from gatepost_cli.checks.base import Context, Finding, fault, good
from gatepost_cli.checks.tls import chain
from gatepost_core.domain import stamp

_RENEW = "renew it, put it in the same place, then 'postfix reload'"


def tls_certificate(context: Context) -> Iterator[Finding]:
    """Look at the chain's certificates, at the name, then at the key."""
    file = context.settings.postfix.tls_certificate_file
    try:
        certificates = chain(context)
    except (OSError, ValueError) as error:
        found = error.strerror if isinstance(error, OSError) else f"not PEM: {error}"
        yield fault(str(file), found or "", "the certificate chain, PEM", "set postfix.tls_certificate_file")
        return
    for certificate in certificates:
        yield in_time(context, str(file), certificate)
    yield _order(str(file), certificates)
    yield _key(context, certificates[0])
    yield named(str(file), certificates[0], context.hostname)


def in_time(context: Context, where: str, certificate: x509.Certificate) -> Finding:
    """Hold a certificate's time against the clock and ``doctor.certificate_days``."""
    soon = timedelta(days=context.settings.doctor.certificate_days)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    name = certificate.subject.rfc4514_string() or "without a name"
    if context.now < begins:
        return fault(where, f"{name}: valid from {stamp(begins)}", "valid now", "look at the host's clock")
    if context.now >= ends:
        return fault(where, f"{name}: expired on {stamp(ends)}", "valid now", _RENEW)
    left = (ends - context.now).days
    found = f"{name}: valid until {stamp(ends)}, {left} days"
    if context.now + soon >= ends:
        return fault(where, found, f"valid for {soon.days} more days", _RENEW)
    return good(where, found)


def named(where: str, certificate: x509.Certificate, hostname: str) -> Finding:
    """Say whether a certificate is for a host name (RFC 9525: subject alternative names alone count)."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = [name.lower() for name in extension.value.get_values_for_type(x509.DNSName)]
    except x509.ExtensionNotFound:
        names = []
    wildcard = f"*.{hostname.partition('.')[2]}"
    if hostname in names or wildcard in names:
        return good(where, f"for {hostname}")
    found, expected = f"for {', '.join(names) or 'no DNS name'}", f"for {hostname}, where clients connect to"
    advice = f"get a certificate with {hostname} among its names, or set postfix.hostname to one that it has"
    return fault(where, found, expected, advice)


def _order(file: str, certificates: list[x509.Certificate]) -> Finding:
    """Say whether each certificate was issued by the next one (RFC 8446 section 4.4.2)."""
    for number, (certificate, issuer) in enumerate(pairwise(certificates), start=1):
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            names = [one.subject.rfc4514_string() for one in (certificate, issuer)]
            found = f"number {number} ({names[0]}) is not issued by the next one ({names[1]})"
            expected = "the server's certificate first, then each one's issuer"
            advice = "put the file's certificates in that order, then 'postfix reload'"
            return fault(file, found, expected, advice)
    return good(
        file, "alone in its file" if len(certificates) == 1 else f"a chain of {len(certificates)}, in order"
    )


def _key(context: Context, certificate: x509.Certificate) -> Finding:
    file = context.settings.postfix.tls_key_file
    advice = "set postfix.tls_key_file"
    try:
        mode = file.stat().st_mode & 0o777
        public = load_pem_private_key(file.read_bytes(), None).public_key()
    except (OSError, ValueError, TypeError) as error:
        found = error.strerror if isinstance(error, OSError) else f"not a PEM key without password: {error}"
        return fault(str(file), found or "", "the certificate's private key", advice)
    if mode & 0o007:
        return fault(str(file), f"mode {mode:04o}", "no access for others", f"run 'chmod 0640 {file}'")
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if public.public_bytes(*form) != certificate.public_key().public_bytes(*form):
        return fault(str(file), "the key of another certificate", "the first certificate's key", advice)
    return good(str(file), "the certificate's key")
