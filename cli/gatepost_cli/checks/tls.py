"""How doctor makes TLS with the gateway's own ports: trusting this installation's certificate file."""

from __future__ import annotations

import ssl

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gatepost_cli.checks.base import Context
from gatepost_core.serving.tls import client_context


def chain(context: Context) -> list[x509.Certificate]:
    """Return the certificates of the settings' file, read once a run. Raises OSError, ValueError."""
    file = context.settings.postfix.tls_certificate_file
    return context.once(file, lambda: x509.load_pem_x509_certificates(file.read_bytes()))


def own_trust(context: Context) -> ssl.SSLContext:
    """Return a context that verifies name, time and chain up to the last certificate of the file.

    That one is trusted whoever issued it, so what is verified is what the server has to send. Raises OSError
    and ValueError for a file that cannot be used.
    """
    last = chain(context)[-1].public_bytes(Encoding.PEM).decode("ascii")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    made.load_verify_locations(cadata=last)
    return made


def public_trust() -> ssl.SSLContext:
    """Return a context that trusts the authorities of this host, as most clients do."""
    made = client_context()
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made


def no_trust() -> ssl.SSLContext:
    """Return a context that verifies nothing: to look at what a server presents."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


def said(error: Exception) -> str:
    """Return what went wrong in a session, of a handshake in OpenSSL's words without its numbers."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    return str(error)
