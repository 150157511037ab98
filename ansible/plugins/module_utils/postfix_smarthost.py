# Copyright: the Gatepost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Postfix that hands everything to one server, as parameters and a table: names in postconf(5). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.gatepost.gatepost.plugins.module_utils.postfix_outgoing import (
    CA_FILE,
    own_parameters,
)


def smarthost(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``parameters``, and the text of the table ``generic``.

    ``hop`` is the server as relayhost names it, and the key of the login in the file ``login`` of ``folder``.
    """
    parameters = [
        *({"name": name, "value": value} for name, value in _rows(values)),
        *own_parameters(values.get("parameters") or {}),
    ]
    lines = (f"{address} {other}\n" for address, other in (values.get("generic") or {}).items())
    return {
        "parameters": list({row["name"]: row for row in parameters}.values()),
        "generic": "".join(lines),
    }


def _rows(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    folder = values["folder"]
    yield "relayhost", values["hop"]
    yield "smtp_sasl_auth_enable", "yes"
    yield "smtp_sasl_password_maps", f"texthash:{folder}/login"
    yield "smtp_sasl_security_options", "noanonymous"
    yield "smtp_sasl_tls_security_options", "noanonymous"
    # A login that is refused is somebody's mistake: mail waits until it is mended.
    yield "smtp_sasl_auth_soft_bounce", "yes"
    yield "smtp_tls_security_level", "secure"
    yield "smtp_tls_secure_cert_match", "nexthop"
    yield "smtp_tls_mandatory_protocols", ">=TLSv1.2"
    yield "smtp_tls_wrappermode", "yes" if values.get("wrapped") else "no"
    yield "smtp_tls_CAfile", values.get("ca_file") or CA_FILE
    yield "smtp_tls_loglevel", "1"
    if values.get("loopback_only"):
        yield "inet_interfaces", "loopback-only"
    if not values.get("local_mail", True):
        yield "mydestination", ""
    if values.get("generic"):
        yield "smtp_generic_maps", f"texthash:{folder}/generic"
