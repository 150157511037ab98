"""TLS of our clients: of a directory, a webhook's endpoint, a port that doctor looks at."""

from __future__ import annotations

import ssl


def client_context(ca_file: str = "", *, besides: bool = False) -> ssl.SSLContext:
    """Return a context that verifies certificates and names by this host's authorities, or by ``ca_file``'s.

    ``besides``: by those of ``ca_file`` as well. What is checked of a chain is the same on every Python: from
    3.13 on its default refuses certificates without an Authority Key Identifier, which many companies' own
    authorities leave out, and trusts any certificate of ``ca_file`` as an authority. Raises OSError
    (ssl.SSLError) for a file that cannot be used.
    """
    context = ssl.create_default_context(cafile=None if besides else ca_file or None)
    if besides and ca_file:
        context.load_verify_locations(ca_file)
    context.verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST
    return context
