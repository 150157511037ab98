"""The SMTP server's certificate: readable, in its time, and of the key beside it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from gatepost_cli.checks.base import Context, Finding, fault, good

_SOON = timedelta(days=14)
_RENEW = "renew it, put it in the same place, then 'postfix reload'"


def tls_certificate(context: Context) -> Iterator[Finding]:
    """Look at the chain's certificates, then at the key."""
    file = context.settings.postfix.tls_certificate_file
    try:
        chain = x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError) as error:
        found = error.strerror if isinstance(error, OSError) else f"not PEM: {error}"
        yield fault(str(file), found or "", "the certificate chain, PEM", "set postfix.tls_certificate_file")
        return
    for certificate in chain:
        yield _in_time(context, str(file), certificate)
    yield _key(context, chain[0])


def _in_time(context: Context, file: str, certificate: x509.Certificate) -> Finding:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    name = certificate.subject.rfc4514_string() or "without a name"
    found = f"{name}: valid until {ends:%Y-%m-%d}"
    if context.now < begins:
        return fault(file, f"{name}: valid from {begins:%Y-%m-%d}", "valid now", "look at the host's clock")
    if context.now >= ends:
        return fault(file, f"{name}: expired on {ends:%Y-%m-%d}", "valid now", _RENEW)
    if context.now + _SOON >= ends:
        return fault(file, found, f"valid for {_SOON.days} more days", _RENEW)
    return good(file, found)


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
