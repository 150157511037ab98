"""The back ends of logins: configured so that they can work, each directory server reachable and trusted.

Each LDAP server is asked on its own, so that one that is down shows though another would answer for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from gatepost_cli.checks.base import Context, Finding, fault, good
from gatepost_core.settings import LdapSettings, SettingsError
from gatepost_sasl.backends import build


def backends(context: Context) -> Iterator[Finding]:
    """Look at the configuration of all back ends and at each server of LDAP."""
    settings = context.settings
    try:
        build.check(settings)
    except SettingsError as error:
        yield fault("sasl.backends", str(error), "settings that can work", "change them; see docs/backends")
        return
    yield good("sasl.backends", ", ".join(settings.sasl.backends))
    for text in build.remarks(settings):
        yield Finding("sasl.mechanisms", "note", text)
    if "ldap" in settings.sasl.backends:
        yield from _servers(settings.ldap)


def _servers(section: LdapSettings) -> Iterator[Finding]:
    # Loaded only where there is a directory: ldap3 takes a while.
    from gatepost_sasl.backends.build_ldap import probe  # noqa: PLC0415

    for uri in section.servers:
        trouble = probe(section, uri)
        if trouble:
            expected = "a server that answers, with a valid certificate, and lets ldap.bind_dn in"
            advice = "start the server, renew its certificate, or set ldap.ca_file and ldap.bind_password"
            yield fault(uri, trouble, expected, advice)
        else:
            yield good(uri, "answers" + (", certificate valid" if section.verify else ""))
