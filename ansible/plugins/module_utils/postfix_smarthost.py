# Copyright: the Gatepost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Postfix that hands what it would send into the world to one server: parameters, a service, tables.

The way to the gateway is an smtp(8) of its own in master.cf, and all that it needs (login, TLS, the
authority) are options of that entry. So the ``smtp`` and ``relay`` that other mail takes keep their settings:
a content filter on loopback, routes inside, other servers' logins, TLS policies and certificates. main.cf
says only that mail without another route takes this one (``default_transport``, which also mends the
``error`` of Debian's "Local only"). transport_maps, relay_domains and routes by sender stay, and win.
Names in postconf(5), master(5), pipemap in DATABASE_README. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.gatepost.gatepost.plugins.module_utils.cf_files import items
from ansible_collections.gatepost.gatepost.plugins.module_utils.postfix_outgoing import (
    CA_FILE,
    own_parameters,
)

SERVICE = "gatepost-client"
# What the tables of relays by sender answer goes through this: whatever the relay is, the transport is smtp.
# DUNNO says that there is none, and ends the search (postconf(5), sender_dependent_relayhost_maps).
_RELAYED = "/^DUNNO(,|$)/ {route}\n/^/ smtp\n"


def smarthost(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``parameters``, ``services``, and ``tables`` (name and text; no text: not used).

    ``hop`` is the server as a route names it, and the key of the login in the file ``login`` of ``folder``;
    ``found`` is what postconf(1) prints of the parameters that others are in charge of too.
    """
    found = _found(values.get("found") or "")
    folder, route = values["folder"], f"{SERVICE}:{values['hop']}"
    parameters = [
        *_routes(route, folder, found),
        *_host(values),
        *own_parameters(values.get("parameters") or {}),
    ]
    generic = (f"{address} {other}\n" for address, other in (values.get("generic") or {}).items())
    return {
        "parameters": list({row["name"]: row for row in parameters}.values()),
        "services": [{"name": SERVICE, "type": "unix", "entry": _entry(values, found)}],
        "tables": [
            {"name": "generic", "text": "".join(generic)},
            {"name": "relayed", "text": _RELAYED.format(route=route) if _by_sender(found) else ""},
        ],
    }


def _found(text: str) -> dict[str, str]:
    """Return the parameters that postconf(1) printed."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _by_sender(found: Mapping[str, str]) -> list[str]:
    return items(found.get("sender_dependent_relayhost_maps", ""))


def _routes(route: str, folder: str, found: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    yield {"name": "default_transport", "value": route}
    # A next hop in default_transport wins over a relay by sender, a transport without one does not.
    tables = _by_sender(found)
    if tables:
        asked = tables[0] if len(tables) == 1 else f"unionmap:{{{','.join(tables)}}}"
        yield {
            "name": "sender_dependent_default_transport_maps",
            "value": f"pipemap:{{{asked},regexp:{folder}/relayed}}",
            "match": "include",
        }


def _host(values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if values.get("loopback_only"):
        yield {"name": "inet_interfaces", "value": "loopback-only"}
    if not values.get("local_mail", True):
        yield {"name": "mydestination", "value": ""}


def _entry(values: Mapping[str, Any], found: Mapping[str, str]) -> str:
    options = "".join(f"\n  -o {{ {name} = {value} }}" for name, value in _options(values, found))
    return f"{SERVICE} unix - - n - - smtp{options}"


def _options(values: Mapping[str, Any], found: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    folder = values["folder"]
    yield "smtp_sasl_auth_enable", "yes"
    yield "smtp_sasl_password_maps", f"texthash:{folder}/login"
    yield "smtp_sasl_mechanism_filter", ""
    yield "smtp_sasl_security_options", "noanonymous"
    yield "smtp_sasl_tls_security_options", "noanonymous"
    # A login that is refused is somebody's mistake: mail waits until it is mended.
    yield "smtp_sasl_auth_soft_bounce", "yes"
    # Nor is there another way for it: what is signed and counted by the gateway goes through the gateway.
    yield "smtp_fallback_relay", ""
    # By /etc/hosts too: a gateway inside need not be in the DNS.
    yield "smtp_host_lookup", "dns, native"
    yield "smtp_tls_security_level", "secure"
    yield "smtp_tls_secure_cert_match", "nexthop"
    yield "smtp_tls_policy_maps", ""
    yield "smtp_tls_mandatory_protocols", ">=TLSv1.2"
    yield "smtp_tls_wrappermode", "yes" if values.get("wrapped") else "no"
    # These authorities and no others: a folder of them would be trusted besides, as would OpenSSL's own.
    yield "smtp_tls_CAfile", values.get("ca_file") or CA_FILE
    yield "smtp_tls_CApath", ""
    yield "tls_append_default_CA", "no"
    yield "smtp_tls_loglevel", "1"
    if values.get("generic"):
        own = [f"texthash:{folder}/generic"]
        yield "smtp_generic_maps", ", ".join(items(found.get("smtp_generic_maps", "")) + own)
